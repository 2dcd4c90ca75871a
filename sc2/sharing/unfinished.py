"""Whether results were being placed when a pull ended early. The workflow asks at its start."""

from collections.abc import Mapping
from pathlib import Path

UNFINISHED = Path("scratch") / "pull.unfinished"
ADOPTING = "SC2_ADOPTING"
"""Set for the one Snakemake that belongs to the pull itself."""


def problem(environment: Mapping[str, str]) -> str | None:
    """Return why the results in the current folder cannot be used now, None if they can."""
    if not UNFINISHED.exists() or ADOPTING in environment:
        return None
    return (
        "`sc2 pull` was interrupted while it placed results, which Snakemake would take for its own: run `sc2 pull` "
        f"again. Without the remote: `sc2 verify --prune --yes`, then remove {UNFINISHED}"
    )
