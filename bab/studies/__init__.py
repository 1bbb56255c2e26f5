"""What do the papers' experiments show? One study a file."""
