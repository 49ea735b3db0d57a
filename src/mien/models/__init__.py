"""Model files: card and seal, checks before loading, and a store that finds them by name."""
