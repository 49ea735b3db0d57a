"""Search for a config: what is varied, and the trials."""
