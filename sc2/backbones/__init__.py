"""Networks that can be cut: one file per family, each seen as a `StagedModel`."""
