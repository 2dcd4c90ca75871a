"""The training loop, and the recipes that it runs."""
