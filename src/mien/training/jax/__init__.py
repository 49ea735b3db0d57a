"""A run whose data lies on the device: pictures are changed there, and many steps are one program (JAX)."""
