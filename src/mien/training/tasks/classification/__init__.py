"""Train an expression classifier: batches, losses, validation."""
