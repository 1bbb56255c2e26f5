"""Which other question has the same answer? Networks side by side, inputs that others determine, shared neurons."""
