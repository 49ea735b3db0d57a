"""Transfer learning: features of a frozen network, new layers on them, then its last blocks."""
