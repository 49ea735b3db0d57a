"""Search for a recipe: what is varied, and the trials."""
