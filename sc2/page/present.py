"""Which benchmarks have results, and the records, tables and rows per image of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sc2.errors import DataError
from sc2.measure.channel import Values
from sc2.provenance.record import Record, read_record
from sc2.provenance.trace import format_trace, trace
from sc2.report.series import Tables, read_tables
from sc2.report.timed import RunKey, TimedPoint, read_sizes, timed_points

FIGURE = "rate_accuracy"
"""The figure whose record says a benchmark's title, its methods' families and what is published of it."""


@dataclass(frozen=True)
class Present:
    """A benchmark whose tables are there.

    Attributes:
        name: Name of the benchmark.
        results: Folder of all results.
    """

    name: str
    results: Path

    @cached_property
    def made(self) -> Record:
        """Record of the tables."""
        return read_record(self.results / "tables" / self.name / "tables.prov.json")

    @cached_property
    def drawn(self) -> Record:
        """Record of the figure `FIGURE`.

        Raises:
            DataError: It has not been drawn.
        """
        path = self.results / "figures" / self.name / f"{FIGURE}.prov.json"
        if not path.is_file():
            raise DataError(
                f"{path} is missing: the page takes titles and families from it; build it with: "
                f"snakemake --cores all {path.with_name(FIGURE + '.svg')}"
            )
        return read_record(path)

    @property
    def snapshot(self) -> str:
        """The folder that the benchmark is shown from, where it is a snapshot."""
        return ""

    @property
    def told(self) -> str:
        """What is read of it, in words."""
        return f"tables, rows per image and records of {len(self.summaries)} runs"

    @property
    def title(self) -> str:
        """Title for readers."""
        return str(self.drawn.spec["title"])

    @property
    def published(self) -> tuple[list[Mapping[str, Any]], int]:
        """What is published of the benchmark, and the pixels of the network's input."""
        width, height = self.drawn.spec.get("input_px", (0, 0))
        return list(self.drawn.spec.get("published", [])), int(width) * int(height)

    @cached_property
    def sizes(self) -> Mapping[RunKey, Values]:
        """Bytes of every image on the link, of each run."""
        return read_sizes({key: self.folder(*key) / "samples.parquet" for key in self._runs})

    @cached_property
    def timed(self) -> Sequence[TimedPoint]:
        """The points that were timed."""
        return timed_points(self.tables, self.sizes)

    def run(self, method: str, point: str, seed: str) -> dict[str, str]:
        """Return where a run comes from: its record and commit, the trace, and the command that rebuilds it."""
        path = self.summaries[method, point, seed]
        record = read_record(path.with_name("evaluate.prov.json"))
        run_file = option(record, "--config", self.run_file)
        return {
            "seed": seed,
            "record": record.id,
            "commit": str(record.git.get("commit") or ""),
            "dirty": "yes" if record.git.get("dirty") else "",
            "command": f"snakemake --cores all --force {path.as_posix()} --configfile {run_file}",
            "trace": format_trace(trace(path)),
        }

    @property
    def table_files(self) -> dict[str, Path]:
        """Every table by name: those of the benchmark, and those of latency over channels where they were made."""
        folders = [self.results / kind / self.name for kind in ("tables", "channels")]
        return {path.stem: path for folder in folders for path in sorted(folder.glob("*.csv"))}

    @cached_property
    def tables(self) -> Tables:
        """Tables that curves are made from."""
        return read_tables(self.table_files, self.drawn.spec["methods"])

    @property
    def summaries(self) -> dict[RunKey, Path]:
        """Measurements of each run of the tables."""
        return {key: self.folder(*key) / "summary.json" for key in self._runs}

    @property
    def _runs(self) -> list[RunKey]:
        return [(method, point, seed) for method, point, seed in (run.split("/") for run in self.made.spec["runs"])]

    def folder(self, method: str, point: str, seed: str) -> Path:
        """Return the folder of a run's evaluation."""
        return self.results / "evaluate" / self.name / method / point / f"seed{seed}"

    @property
    def pictures(self) -> Mapping[str, Path]:
        """Example pictures by method."""
        return {path.stem: path for path in sorted((self.results / "examples" / self.name).glob("*.webp"))}

    @property
    def run_file(self) -> str:
        """The run file that the tables were made for, as their record has it."""
        return option(self.made, "--config", "config/config.yaml")


def present(results: Path) -> list[Present]:
    """Return the benchmarks that have tables, in the order of their names."""
    return [Present(path.parent.name, results) for path in sorted(results.glob("tables/*/tables.prov.json"))]


def option(record: Record, name: str, default: str) -> str:
    """Return the value of an option in the command of a record."""
    command: list[Any] = list(record.command)
    return str(command[command.index(name) + 1]) if name in command[:-1] else default
