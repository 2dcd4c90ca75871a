"""Networks that can be cut: one file per family, each presented as a `StagedModel`."""
