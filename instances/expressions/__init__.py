"""What is a tensor while a graph is read? Constants and affine expressions over layers, with their roundings."""
