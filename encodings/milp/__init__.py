"""Which MILP is the query? Formulations, models, tightening, partial MILPs, and the process that SCIP gets."""
