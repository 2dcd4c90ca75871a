"""`sc2 report`: the results of all benchmarks as one page that a browser opens from the disk."""

import sys
from collections.abc import Sequence
from pathlib import Path

from sc2.errors import DataError
from sc2.page.content import content
from sc2.page.html import page
from sc2.page.present import Present, present
from sc2.system.atomic import replacing


def write_report(results: Path, output: Path, names: Sequence[str] = ()) -> None:
    """Write the page.

    Args:
        results: Folder of the results.
        output: File to write; its folder is made.
        names: Benchmarks to show, in this order; by default all that have tables.

    Raises:
        DataError: Something that the page shows is missing or unreadable; the message says how to build it.
        ProvenanceError: A record is damaged.
    """
    text = page(content(_chosen(present(results), names), lambda line: print(line, file=sys.stderr, flush=True)))
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(output) as path:
        path.write_text(text, encoding="utf-8", newline="")
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB; open it in any browser")


def _chosen(found: Sequence[Present], names: Sequence[str]) -> list[Present]:
    by_name = {benchmark.name: benchmark for benchmark in found}
    for name in names:
        if name not in by_name:
            raise DataError(f"no tables of benchmark '{name}'; there are those of {', '.join(by_name)}")
    return [by_name[name] for name in names or by_name]
