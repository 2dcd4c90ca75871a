"""Weights that others have published, as the last checkpoint of a run here."""
