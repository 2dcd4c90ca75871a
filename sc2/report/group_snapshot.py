"""Stage `snapshot_group`: a group's overview, published orderings and costs, for a reader who runs nothing.

Copies overview and costs to `docs/reference/<group>/` and writes the README beside them from tables and records alone.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sc2.job import RunningJob
from sc2.provenance.record import Record, read_record
from sc2.report import facts
from sc2.report.columns import QUALITY
from sc2.report.markdown import Markup, ends, number, table
from sc2.report.snapshot import check_records, copy_to, image, published
from sc2.report.table_io import read_table


def run(job: RunningJob) -> None:
    """Copy `serving` and `figures` beside `readme` and write it from them, the `orderings` and the `records`.

    `orderings` are the tables of the group's benchmarks, in the order of the spec's `benchmarks`.

    Raises:
        DataError: The table is unreadable, or a file is larger than a snapshot's may be.
        ProvenanceError: A record is missing or damaged, or none of them lists a figure as it is.
    """
    readme, figures, serving = job.outputs["readme"], job.input_list("figures"), job.input("serving")
    records = list({record.id: record for record in map(read_record, job.input_list("records"))}.values())
    check_records(readme, figures, records)
    text = _text(job, serving, figures, records)
    copy_to(job, [serving, *figures], readme.parent)
    readme.write_text(text, encoding="utf-8", newline="")


def _text(job: RunningJob, serving: Path, figures: Sequence[Path], records: Sequence[Record]) -> str:
    parts = [
        "<!-- Written by `snakemake snapshots`: do not edit. -->",
        f"# {job.keys['group']}: {len(job.spec['benchmarks'])} tasks",
        "Benchmarks: " + ", ".join(f"[{name}](../{name}/README.md)" for name in job.spec["benchmarks"]) + ".",
        *map(image, figures),
        *_orderings(job.spec["benchmarks"], [read_table(path) for path in job.input_list("orderings")]),
        "## Serving all tasks",
        "Per image. A device half that is the same for all tasks sends one payload to those that take the image at the "
        f"same size; columns in [metrics.md](../../metrics.md), all seeds in [{serving.name}]({serving.name}).",
        _serving(read_table(serving)),
        "## Made on",
        facts.made_on(records),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _serving(rows: pd.DataFrame) -> str:
    rows = rows[rows["seed"] == rows["seed"].iloc[0]] if len(rows) else rows
    qualities = [quality for quality in QUALITY.values() if rows[quality.primary].notna().any()]
    header = ("method", "point", *(quality.label for quality in qualities), "device halves", "payloads", "bytes of all")
    more = ("encoder MACs", "encoder parameters (B)", "if separate: bytes of all", "encoder MACs")
    cells = [
        (
            *(str(row["method_title"]), str(row["point"])),
            *(number(row[quality.primary], 1) for quality in qualities),
            *(number(row["device_models"]), number(row["payloads"]), number(row["payload_bytes_together"], 1)),
            *(number(row["encoder_macs_together"]), number(row["encoder_param_bytes_together"])),
            *(number(row["payload_bytes_separately"], 1), number(row["encoder_macs_separately"])),
        )
        for _, row in rows.iterrows()
    ]
    return table((*header, *more), cells, numbers_from=2)


def _orderings(benchmarks: Sequence[str], tables: Sequence[pd.DataFrame]) -> list[str]:
    """Return the section on published orderings: a row for each, a column for each benchmark; none without any."""
    claims = {row["ordering"]: row for rows in tables for _, row in rows.iterrows()}
    if not claims:
        return []
    cells = [
        (published(claim), *(_verdict(rows[rows["ordering"] == name]) for rows in tables))
        for name, claim in claims.items()
    ]
    return [
        "## Published orderings",
        "Whether they hold here: the whole 95 % interval of the difference, in brackets, is on the published side, on "
        "the other one, or on neither. Differences are in percent of the other method's bytes or size, or in points of "
        "quality; tests and reasons are on the benchmarks' pages.",
        table(("published", *benchmarks), cells, numbers_from=len(benchmarks) + 1),
    ]


def _verdict(rows: pd.DataFrame) -> Markup:
    """Return the verdict on one ordering on one benchmark, where both of its methods are run."""
    if rows.empty:
        return Markup("–")
    row = rows.iloc[0]
    low, high = row["difference_low"], row["difference_high"]
    interval = "" if low != low and high != high else f" ({ends((low, high), 1)})"
    return Markup(f"**{row['verdict']}**{interval}")
