"""From a face box to probabilities: face crop, image quality, classifier."""
