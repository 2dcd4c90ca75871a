"""Entropy models as used on the wire: integer tables, and the coder that uses them."""
