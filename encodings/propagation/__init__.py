"""What must hold of a counterexample? Interval contraction with nogoods, probing, the graph of what phases imply."""
