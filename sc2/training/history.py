"""The training history as a table."""

import csv
from pathlib import Path


def write_history(history: list[dict[str, float]], path: Path) -> None:
    """Write one row per epoch; numbers with 6 significant digits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows([{name: f"{value:.6g}" for name, value in row.items()} for row in history])
