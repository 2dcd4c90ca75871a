"""Stage `snapshot`: what a reader of the repository sees of a benchmark without running anything.

Copies the tables and figures to `docs/reference/<benchmark>/` and writes the README beside them from the tables and the
records alone.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sc2.errors import DataError, ProvenanceError
from sc2.job import RunningJob
from sc2.provenance.record import Record, read_record, sha256_file
from sc2.report import equal_quality, facts
from sc2.report.markdown import code, escaped, in_a_sentence, number, table, with_spread
from sc2.report.series import READ, Series, Tables, collect, read_tables
from sc2.report.table_io import read_table

COPIED = (".csv", ".svg", ".webp")
"""What a snapshot may hold beside its page: what is small, and keeps its bytes while what it shows stays the same."""

MAX_BYTES = 300_000
"""Size of the largest file of a snapshot: git keeps every version of it."""


def run(job: RunningJob) -> None:
    """Copy `tables` and `figures` beside `readme` and write it from them and the `records`.

    Raises:
        DataError: A table is missing or unreadable, or two files have the same name.
        ProvenanceError: A record is missing or damaged, or none of them lists a figure as it is.
    """
    readme = job.outputs["readme"]
    tables, figures = job.input_list("tables"), job.input_list("figures")
    records = list({record.id: record for record in map(read_record, job.input_list("records"))}.values())
    check_records(readme, figures, records)
    text = _text(job, tables, figures, records)
    copy_to([*tables, *figures], readme.parent)
    readme.write_text(text, encoding="utf-8", newline="")


def check_records(readme: Path, figures: Sequence[Path], records: Sequence[Record]) -> None:
    """Refuse a figure that none of the records lists as it is: it would be of another run.

    Raises:
        ProvenanceError: There is such a figure, or no record at all.
    """
    if not records:
        raise ProvenanceError(f"{readme}: a snapshot needs the records of what it shows, but got none")
    known = {file.sha256 for record in records for file in record.outputs.values()}
    for path in figures:
        if sha256_file(path) not in known:
            raise ProvenanceError(f"{path}: no record of the snapshot has a file of this content; draw it again")


def _load(job: RunningJob, paths: Sequence[Path]) -> Tables:
    """Read the three tables, found by their names."""
    by_name = {path.stem: path for path in paths}
    for name in READ:
        if name not in by_name:
            raise DataError(f"the snapshot's tables lack {name}.csv; it got {', '.join(sorted(by_name)) or 'none'}")
    return read_tables(by_name, job.spec["methods"])


def copy_to(paths: Sequence[Path], folder: Path) -> None:
    """Copy the files and remove those that an earlier snapshot left and this one no longer has.

    Raises:
        DataError: Two files have the same name, or one is of another kind than `COPIED` or larger than `MAX_BYTES`.
    """
    names = [path.name for path in paths]
    if len(set(names)) != len(names):
        raise DataError(f"{folder}: two files of the snapshot have the same name: {', '.join(sorted(names))}")
    for path in paths:
        if path.suffix not in COPIED:
            raise DataError(f"{path}: a snapshot holds {', '.join(COPIED)}, no other files")
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: larger than the {MAX_BYTES:,} bytes that a file of a snapshot may have")
        shutil.copyfile(path, folder / path.name)
    for old in folder.iterdir():
        if old.suffix in (*COPIED, ".png") and old.name not in names:
            old.unlink()


def _text(job: RunningJob, paths: Sequence[Path], figures: Sequence[Path], records: Sequence[Record]) -> str:
    """Return the whole README."""
    tables = _load(job, paths)
    command = f"snakemake --cores all --configfile config/{job.spec['config']}"
    parts = [
        "<!-- Written by `snakemake snapshots`: do not edit. -->",
        f"# {escaped(job.spec['title'])}",
        f"Benchmark {code(job.keys['benchmark'])}, made by {code(command)}. {_teacher(tables)}",
        *(f"![{alt_text(path)}]({path.name})" for path in figures),
        "## Rate and quality",
        f"Means over the test images{_seeds_text(tables)}. Tables: {_links(paths)}.",
        _results(tables),
        *equal_quality.section(tables),
        *_comparison(tables, paths),
        "## Latency",
        *_latency(tables),
        "## Made on",
        facts.made_on(records),
        "## Records",
        "`sc2 trace` follows these ids from a figure down to data, teacher and commit.",
        facts.listing(records),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def alt_text(path: Path) -> str:
    """Return the alternative text of a figure."""
    return path.stem.replace("_", " ").capitalize()


def _links(paths: Sequence[Path]) -> str:
    return ", ".join(f"[{path.name}]({path.name})" for path in paths)


def _teacher(tables: Tables) -> str:
    teacher, quality = tables.teacher.iloc[0], tables.quality
    return (
        f"Teacher {code(teacher['teacher'])}: {in_a_sentence(quality.label)} "
        f"{number(teacher[quality.primary], 2)}{quality.unit} on {number(teacher['images'])} test images, "
        f"{number(teacher['params'])} parameters, {number(teacher['macs'])} MACs."
    )


def _all_series(tables: Tables) -> list[Series]:
    return collect(tables, list(tables.rate_quality["method"].unique()))


def _seeds_text(tables: Tables) -> str:
    seeds = tables.rate_quality["seed"].nunique()
    return f"; mean ± standard deviation where there are several of the {seeds} seeds" if seeds > 1 else ""


def _results(tables: Tables) -> str:
    """Return one row per method and point."""
    header = ("method", "point", tables.quality.label, "payload (B)", "of which headers (B)")
    costs = ("encoder (KB)", "encoder parameters", "encoder MACs")
    rows = [_result(series, index) for series in _all_series(tables) for index in range(len(series.points))]
    return table((*header, *costs), rows, numbers_from=2)


def _result(series: Series, index: int) -> tuple[str, ...]:
    seeds = series.seeds[index]
    return (
        series.title,
        series.facts.point(series.points[index]),
        with_spread(series.quality[index], series.quality_std[index], 2, seeds),
        with_spread(series.data_bytes[index], series.data_bytes_std[index], 1, seeds),
        number(series.header_bytes[index], 1),
        number(series.encoder_kb[index], 1),
        number(series.encoder_params[index]),
        number(series.encoder_macs[index]),
    )


def _comparison(tables: Tables, paths: Sequence[Path]) -> list[str]:
    """Return the section that compares every curve with the anchor; none where there is no such table."""
    path = next((path for path in paths if path.stem == "comparison"), None)
    if path is None:
        return []
    found = read_table(path)
    titles = {series.method: series.method_title for series in _all_series(tables)}
    rows = [
        (
            f"{row['method_title']}, {row['curve']}" if row["curve"] else str(row["method_title"]),
            with_spread(row["bd_rate_pct"], row["bd_rate_pct_seed_std"], 1, row["seeds"]),
            with_spread(row["bd_quality_points"], row["bd_quality_points_seed_std"], 2, row["seeds"]),
            number(row["hypervolume"], 4),
        )
        for _, row in found.iterrows()
    ]
    header = ("curve", "BD-rate (%)", f"BD-quality ({tables.quality.label})", "hypervolume")
    return [
        "## Comparison",
        f"Bjøntegaard differences from {escaped(titles[str(found['anchor'].iloc[0])])}, each over the interval that "
        "both curves cover; a dash where they share none, or a curve is a single point. The hypervolume is that of "
        "bytes, encoder size and quality together.",
        table(header, rows, numbers_from=1),
    ]


def _latency(tables: Tables) -> list[str]:
    """Return what the times were measured on, and one row per run; nothing measured gives one sentence."""
    times = tables.latency
    if times.empty:
        return ["Not measured."]
    columns = {
        "encoder_ms_p50": "encoder (ms)",
        "coder_encode_ms_p50": "entropy coder, encode (ms)",
        "coder_decode_ms_p50": "entropy coder, decode (ms)",
        "server_ms_p50": "server (ms)",
        "server_batch_ms_p50": "server, in batches (ms)",
    }
    machines = sorted({f"{time['cpu']}, {time['threads']} thread(s)" for _, time in times.iterrows()})
    batches = sorted({str(time["server_batch"]) for _, time in times.iterrows()})
    rows = [(*_run_cells(tables, time), *(number(time[name], 3) for name in columns)) for _, time in times.iterrows()]
    return [
        f"Median per image on {escaped('; '.join(machines))}. All is done image by image, but for the last column: "
        f"there the server answers {'; '.join(batches)} images at once, as the evaluation does.",
        table(("method", "point", "seed", *columns.values()), rows, numbers_from=3),
    ]


def _run_cells(tables: Tables, time: pd.Series) -> tuple[str, str, str]:
    runs = tables.rate_quality
    run = runs[(runs["method"] == time["method"]) & (runs["point"] == time["point"])].iloc[0]
    return str(run["method_title"]), tables.facts_of(time["method"]).point(time["point"]), str(time["seed"])
