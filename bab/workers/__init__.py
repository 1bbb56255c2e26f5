"""Who else works on a tree? Processes of this machine and of others, and what travels between them."""
