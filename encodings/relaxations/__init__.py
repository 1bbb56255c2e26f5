"""Which lines enclose the graph of one nonlinearity? Sigmoids, envelopes of any curve, planes around products."""
