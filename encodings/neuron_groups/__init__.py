"""What do several neurons know together? Octahedra, hulls, rows of k neurons."""
