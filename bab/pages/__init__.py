"""How do results become a page? Figures, tables that sort themselves, and one file that can be sent."""
