"""BPG, one HEVC intra picture behind a short header: our own writer and reader over PyAV (docs/bpg.md)."""
