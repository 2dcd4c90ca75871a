"""Splits of which one training gives every rate: the latent is multiplied by gains before it is rounded."""
