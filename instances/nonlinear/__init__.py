"""Which curves and steps does an operator make? Curves, products as gates or squares, quotients, what jumps."""
