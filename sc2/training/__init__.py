"""The one training loop, and what a phase of training has to say to it."""
