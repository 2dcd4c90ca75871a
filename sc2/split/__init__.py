"""The contract: what a method, an operating point and a payload are."""
