"""How robust is a classifier? Radii of inputs, certified accuracy of data sets, pages and pictures of them."""
