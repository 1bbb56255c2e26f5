"""What does the search do to a batch of nodes? Bound, attack, clip, close, split."""
