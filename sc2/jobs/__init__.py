"""What there is to do, and the one way to do it."""
