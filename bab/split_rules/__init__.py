"""Which split rule wins, and what tells it beforehand?"""
