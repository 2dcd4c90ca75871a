"""Jobs as forks of one process per workflow that has imported the libraries already; see docs/architecture.md."""
