"""What is asked of a run, and what does it answer? Options, limits, result."""
