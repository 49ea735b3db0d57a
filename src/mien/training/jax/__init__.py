"""Training with the data set on the accelerator: augmentation and many steps in one JAX program."""
