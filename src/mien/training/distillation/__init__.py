"""Knowledge distillation: soft labels from a file, cross-fitted soft labels, and online distillation."""
