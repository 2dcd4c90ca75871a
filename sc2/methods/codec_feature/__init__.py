"""Feature compression with an image codec: features at a cut, as the codec's pictures."""
