"""The option that names the run file, for every command that takes one."""

import argparse
from pathlib import Path

DEFAULT = Path("config/config.yaml")
"""The run file that Snakemake uses by default."""


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the run file."""
    parser.add_argument("--config", type=Path, default=DEFAULT, help=f"the run file (default: {DEFAULT})")
