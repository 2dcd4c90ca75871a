"""The stages of one run, as the rules have them: train, export, evaluate, measure latency."""
