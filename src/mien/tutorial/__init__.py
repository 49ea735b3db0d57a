"""How a network sees: the layers of a CNN in plain NumPy, figures of them, and tools to inspect a trained network.

``convolution`` and ``activation`` are plain NumPy and equal Keras' own layers; ``figures`` draws them. ``filters``,
``embedding`` and ``comparison`` inspect trained networks and import Keras where they need it. ``data`` provides the
data sets of the tutorials.
"""
