"""What counts as an answer? Replay of witnesses in the file itself, exact evaluation, the check before `unsat`."""
