"""How is it asked from a shell? Commands, reports, demo, info."""
