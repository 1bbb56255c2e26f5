"""How is one node decided by itself? LPs, conflict search, exact arithmetic, MILPs."""
