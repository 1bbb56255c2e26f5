"""What do relaxations of single layers leave between attack and certificate? Studies of robust errors and distortions."""
