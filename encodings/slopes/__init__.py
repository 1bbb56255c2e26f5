"""Which relaxation is best? Slopes and multipliers by projected ascent, their proof by back-substitution."""
