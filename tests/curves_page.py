"""Writes docs/curves.md from its template, whose numbers it looks up in the committed tables.

    python -m tests.curves_page

In the template (`tests/pages/curves.md`) stand `{{point BENCHMARK METHOD POINT}}`, `{{teacher BENCHMARK}}`,
`{{orderings}}` and `{{computed}}`.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sc2.report.columns import quality_of
from tests.unit import test_curves_page as tables

TEMPLATE = Path(__file__).parent / "pages" / "curves.md"
PAGE = Path(__file__).parents[1] / "docs" / "curves.md"
RUNS = {"DIGITS": tables.DIGITS, "BOXES": tables.BOXES, "MASKS": tables.MASKS, "PHOTOS": tables.IMAGENETTE}
RUNS |= {"VOC_BOXES": tables.SAMPLES[0], "VOC_MASKS": tables.SAMPLES[1]}


def page() -> str:
    """Return the page for the committed tables."""
    parts: dict[str, Callable[..., str]] = {
        **{"point": _point, "teacher": _teacher, "orderings": _orderings, "computed": _computed}
    }

    def filled(found: re.Match[str]) -> str:
        name, *arguments = found[1].split()
        return parts[name](*arguments)

    return re.sub(r"\{\{(.+?)\}\}", filled, TEMPLATE.read_text(encoding="utf-8"))


def _point(run: str, method: str, point: str) -> str:
    row = tables.row(RUNS[run], method, point)
    quality = row[quality_of(str(row["task"])).primary]
    size = f"{row['payload_bytes_mean']:,.0f}"
    return f"{quality:.1f} % with {size} byte{'' if size == '1' else 's'}"


def _teacher(run: str) -> str:
    row = tables.teacher(RUNS[run])
    return f"{row[quality_of(str(row['task'])).primary]:.1f} %"


def _orderings() -> str:
    lines = ["| task | " + " | ".join(["classification", "detection", "segmentation"]) + " |", "|---|---|---|---|"]
    for heading, verdict in tables.VERDICTS.items():
        cells = []
        for run in (tables.DIGITS, tables.BOXES, tables.MASKS):
            rows = pd.read_csv(tables.REFERENCE / run / "orderings.csv")
            found = rows.loc[rows["verdict"] == verdict, "ordering"]
            cells.append(", ".join(f"`{name}`" for name in found) or "–")
        lines.append(f"| {heading} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _computed() -> str:
    lines = ["| where | what | value |", "|---|---|---|"]
    lines += [f"| {where} | {what} | {compute()} |" for (where, what), compute in tables.COMPUTED.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
