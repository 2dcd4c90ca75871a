"""Feature compression with an image codec: features at a cut, compressed as pictures."""
