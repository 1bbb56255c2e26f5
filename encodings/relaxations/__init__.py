"""Which lines enclose the graph of one nonlinearity? Envelopes of curves, of steps and of maxima."""
