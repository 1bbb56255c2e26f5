"""What do linear functions of the input prove? Back-substitution, relaxations, half-spaces, clipping, reduction."""
