"""Transfer learning: head training on frozen features, fine-tuning of the last blocks, and warm starts."""
