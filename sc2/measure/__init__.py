"""What is counted, and by which rule: quality, bytes, model size, multiply-accumulates and time."""
