"""Model files: their card and seal, the checks before one is opened, and the store that finds them by name."""
