"""Which relaxation bounds a node further, and which of them pay?"""
