"""What must hold of a counterexample? Interval contraction forwards and backwards, with nogoods."""
