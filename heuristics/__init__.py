"""What to try next: partition rules, ReLU scores, attacks, and which encoding to spend on."""
