"""The stages of one run, one per workflow rule: train, export, evaluate, measure latency."""
