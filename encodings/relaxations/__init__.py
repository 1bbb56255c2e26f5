"""Which lines enclose the graph of one nonlinearity? Sigmoids, and envelopes of any curve."""
