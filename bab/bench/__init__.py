"""How do many instances fare? Lists, limits, tables."""
