"""A run directory: its files, checkpoints, lock, history and plots, and the comparison of several runs."""
