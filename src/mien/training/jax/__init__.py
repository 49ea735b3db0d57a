"""A run whose data lies on the device: images are changed there, and many steps are one program (JAX)."""
