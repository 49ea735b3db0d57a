"""A run directory: what it holds, checkpoints, lock, signals, progress, curves, and runs side by side."""
