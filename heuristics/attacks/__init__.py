"""Where may a counterexample be? Points, descents, corners."""
