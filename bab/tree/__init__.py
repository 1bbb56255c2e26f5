"""What is the tree, and how is it walked? Search, frontier, branching, trace."""
