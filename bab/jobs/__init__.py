"""What outlives a run? Jobs, the files that hold them, and when these are written."""
