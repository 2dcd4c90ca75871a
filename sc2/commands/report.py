"""`sc2 report`: the results of all benchmarks as one page that a browser opens from the disk."""

import sys
from collections.abc import Sequence
from pathlib import Path

from sc2.errors import DataError
from sc2.methods import get_method, method_names
from sc2.page.content import content
from sc2.page.html import page
from sc2.page.present import Present, present
from sc2.page.snapshot import snapshots
from sc2.report.series import MethodFacts
from sc2.system.atomic import replacing


def write_report(results: Path, output: Path, names: Sequence[str] = (), reference: Path | None = None) -> None:
    """Write the page.

    Args:
        results: Folder of the results.
        output: File to write; its folder is made.
        names: Benchmarks to show, in this order; by default all that have tables, or else a snapshot.
        reference: Folder of the snapshots; none are shown without.

    Raises:
        DataError: Something that the page shows is missing or unreadable; the message says how to build it.
        ProvenanceError: A record is damaged.
    """
    chosen = _chosen(_found(results, reference), names)
    text = page(content(chosen, lambda line: print(line, file=sys.stderr, flush=True)))
    output.parent.mkdir(parents=True, exist_ok=True)
    with replacing(output) as path:
        path.write_text(text, encoding="utf-8", newline="")
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB; open it in any browser")


def _found(results: Path, reference: Path | None) -> list[Present]:
    """Return the benchmarks that have tables, then those that have only a snapshot."""
    found = present(results)
    if reference is not None:
        methods = {name: get_method(name) for name in method_names()}
        facts = {name: MethodFacts(method.family, method.rate_axis.symbol) for name, method in methods.items()}
        here = {benchmark.name for benchmark in found}
        found += [snapshot for snapshot in snapshots(reference, facts) if snapshot.name not in here]
    if not found:
        raise DataError(f"{results}/tables holds no benchmark's tables; build them with: snakemake --cores all report")
    return found


def _chosen(found: Sequence[Present], names: Sequence[str]) -> list[Present]:
    by_name = {benchmark.name: benchmark for benchmark in found}
    for name in names:
        if name not in by_name:
            raise DataError(f"no tables and no snapshot of benchmark '{name}'; there are those of {', '.join(by_name)}")
    return [by_name[name] for name in names or by_name]
