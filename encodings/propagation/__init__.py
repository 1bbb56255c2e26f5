"""What must hold of a counterexample? Interval contraction with nogoods, probing, and the graph of what phases imply."""
