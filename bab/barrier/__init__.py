"""What do relaxations of single layers leave between attack and proof? Robust errors and smallest distortions."""
