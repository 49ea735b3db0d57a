"""Face detection: composed training images, targets per grid cell, losses, evaluation and export."""

NETWORK = "face-detector"
"""Name of the detector's architecture, for code that must not import Keras."""
