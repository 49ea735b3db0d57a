"""The training loop: batches, augmentation, optimizer steps, validation and schedules, for any task."""
