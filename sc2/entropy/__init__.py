"""Entropy models as they go on the wire: integer tables and the coder over them."""
