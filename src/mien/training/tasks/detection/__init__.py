"""Teaching a network to find faces: images composed as they are needed, targets a cell, losses, and judging."""

NETWORK = "face-detector"
"""Its name among the networks, for those who must not import Keras to know it."""
