"""How a network sees, in steps small enough to follow.

``convolution``, ``pooling``, ``activation`` and ``targets`` are the arithmetic of a CNN in plain NumPy, equal to Keras'
own layers; ``images`` draws it. ``layers``, ``filters``, ``hidden`` and ``confusions`` open a taught network,
``explainers`` explains its answers; these need Keras, which is imported where it is used.
"""
