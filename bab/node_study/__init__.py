"""What does each relaxation bring in every node of a tree?"""
