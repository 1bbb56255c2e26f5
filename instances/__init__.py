"""What is asked: networks, properties, their readers and writers, replay, and built-in instance families."""
