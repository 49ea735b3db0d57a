"""Training on the outputs of other models: soft labels from a file, or online distillation."""
