"""Bottleneck units at a cut of the frozen teacher."""
