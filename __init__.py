"""hypersplit: a complete neural-network verifier. The public names arrive here as they land."""
