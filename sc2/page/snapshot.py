"""A benchmark of which only the committed snapshot is here: tables and pictures, no rows per image and no traces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from sc2.measure.channel import Values
from sc2.page.present import Present
from sc2.provenance.record import Record, read_record
from sc2.report.column import Column
from sc2.report.columns import TABLES
from sc2.report.series import MethodFacts, Tables, read_tables
from sc2.report.timed import RunKey, TimedPoint

_RECORD = "snapshot.prov.json"
_MISSING: Mapping[str, Any] = {"text": "", "flag": False, "int": 0, "float": float("nan")}
"""What stands in a column that a snapshot of an older version lacks."""


@dataclass(frozen=True)
class Snapshot(Present):
    """A folder of docs/reference.

    Attributes:
        facts: Family and symbol of the methods that are known, by name; a variant has those of its method.
    """

    facts: Mapping[str, MethodFacts]

    @property
    def snapshot(self) -> str:
        """The folder that the benchmark is shown from."""
        return self.results.as_posix()

    @cached_property
    def made(self) -> Record:
        """Record of the snapshot."""
        return read_record(self.results / _RECORD)

    @property
    def told(self) -> str:
        """What is read of it, in words."""
        return f"the snapshot {self.snapshot}"

    @property
    def title(self) -> str:
        """Title for readers."""
        return str(self.made.spec["title"])

    @property
    def run_file(self) -> str:
        """The run file that the snapshot was made of."""
        return f"config/{self.made.spec['config']}"

    @property
    def published(self) -> tuple[list[Mapping[str, Any]], int]:
        """Nothing: a snapshot has what is published in its figure alone."""
        return [], 0

    @property
    def table_files(self) -> dict[str, Path]:
        """Every table of the snapshot by name."""
        return {path.stem: path for path in sorted(self.results.glob("*.csv"))}

    @cached_property
    def tables(self) -> Tables:
        """Tables that curves are made from, with all columns of this version."""
        read = read_tables(self.table_files)
        task = str(read.teacher["task"].iloc[0])
        whole = {
            name: _whole(table, TABLES[name](task))
            for name, table in (
                ("rate_quality", read.rate_quality),
                ("latency", read.latency),
                ("teacher", read.teacher),
            )
        }
        names = dict.fromkeys(str(name) for name in read.rate_quality["method"])
        facts = {name: self.facts.get(name.partition(".")[0], MethodFacts()) for name in names}
        return Tables(whole["rate_quality"], whole["latency"], whole["teacher"], facts)

    @property
    def sizes(self) -> Mapping[RunKey, Values]:
        """Nothing: there are no rows per image."""
        return {}

    @property
    def timed(self) -> Sequence[TimedPoint]:
        """Nothing: latency over a channel needs the bytes of every image."""
        return ()

    @property
    def pictures(self) -> Mapping[str, Path]:
        """Example pictures by method."""
        return {path.stem: path for path in sorted(self.results.glob("*.webp"))}

    def run(self, method: str, point: str, seed: str) -> dict[str, str]:
        """Return where a run comes from, as far as a snapshot says it."""
        table = self.tables.rate_quality
        its = (table["method"] == method) & (table["point"] == point) & (table["seed"] == seed)
        [record] = table.loc[its, "record_id"]
        return {
            "seed": seed,
            "record": str(record),
            "commit": "",
            "dirty": "",
            "command": f"snakemake --cores all --configfile {self.run_file}",
            "trace": f"record {record}, in the snapshot {self.snapshot}: the results and their records are not here",
        }


def _whole(table: pd.DataFrame, columns: Sequence[Column]) -> pd.DataFrame:
    missing = {column.name: _MISSING[column.kind] for column in columns if column.name not in table}
    return table.assign(**missing)


def snapshots(folder: Path, facts: Mapping[str, MethodFacts]) -> list[Snapshot]:
    """Return the snapshots of benchmarks in a folder, in the order of their names; there may be none.

    Args:
        folder: `docs/reference`, where a group of benchmarks has a folder as well, which is none of them.
        facts: Family and symbol of each method.
    """
    return [
        Snapshot(path.parent.name, path.parent, facts)
        for path in sorted(folder.glob(f"*/{_RECORD}"))
        if path.with_name("rate_quality.csv").is_file()
    ]
