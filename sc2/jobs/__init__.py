"""Which jobs there are, what identifies them, and how one is run."""
