"""How does a tree look? Partitions and trees as pictures."""
