"""The training loop for any task: optimizer steps, schedules, augmentation, devices."""
