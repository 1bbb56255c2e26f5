"""What is tried on a whole query, one file a stage?"""
