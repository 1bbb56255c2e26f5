"""The search: one tree of half-spaces and phases, its verdicts, workers and command line."""
