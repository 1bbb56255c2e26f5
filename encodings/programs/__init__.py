"""What does an LP prove? Triangle and region programs, and their safe dual bounds."""
