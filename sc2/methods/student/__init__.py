"""Entropy-coded bottlenecks in place of the first stages of the teacher."""
