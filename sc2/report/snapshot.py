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
from sc2.report import equal_quality, facts, latency_sections
from sc2.report.markdown import Markup, code, ends, escaped, in_a_sentence, number, table, with_spread
from sc2.report.published import section as reproduction
from sc2.report.series import READ, Series, Tables, collect, read_tables, teacher_value
from sc2.report.table_io import read_table

COPIED = (".csv", ".svg", ".webp")
"""What a snapshot may hold beside its page: what is small, and keeps its bytes while what it shows stays the same."""

MAX_BYTES = 400_000
"""Size of the largest file of a snapshot: git keeps every version of it."""


SHOWN = ("equal_quality", "byte_ratios", "paired", "orderings", "reproduction", "comparison", "timed_hypervolume")
"""The tables that the page shows beside those that the curves are made from."""

_PAPERS = "../../papers.md"


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
    copy_to(job, [*tables, *figures], readme.parent)
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
    """Read the tables that curves are made from, found by their names."""
    by_name = {path.stem: path for path in paths}
    for name in (*READ, *SHOWN):
        if name not in by_name:
            raise DataError(f"the snapshot's tables lack {name}.csv; it got {', '.join(sorted(by_name)) or 'none'}")
    return read_tables(by_name, job.spec["methods"])


def copy_to(job: RunningJob, paths: Sequence[Path], folder: Path) -> None:
    """Copy the files beside the job's page, and remove those that an earlier snapshot left and this one no longer has.

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
        job.beside.append(folder / path.name)
        shutil.copyfile(path, folder / path.name)
    for old in folder.iterdir():
        if old.suffix in (*COPIED, ".png") and old.name not in names:
            old.unlink()


def _text(job: RunningJob, paths: Sequence[Path], figures: Sequence[Path], records: Sequence[Record]) -> str:
    """Return the whole README."""
    tables, computed = _load(job, paths), {path.stem: read_table(path) for path in paths if path.stem in SHOWN}
    channels = [image(path) for path in figures if path.stem == latency_sections.CHANNELS]
    command = f"snakemake --cores all --configfile config/{job.spec['config']}"
    parts = [
        "<!-- Written by `snakemake snapshots`: do not edit. -->",
        f"# {escaped(job.spec['title'])}",
        f"Benchmark {code(job.keys['benchmark'])}, made by {code(command)}. {_teacher(tables)}",
        *(image(path) for path in figures if path.stem != latency_sections.CHANNELS),
        "## Rate and quality",
        f"Means over the test images{_seeds_text(tables)}, with 95 % intervals over images and {_varied(tables)}. ≈: "
        f"cannot be told from the quality of the same curve at the next fewer bytes. Tables: {_links(paths)}.",
        _results(tables, computed["paired"]),
        *equal_quality.section(tables, computed["equal_quality"], computed["byte_ratios"]),
        *_orderings(computed["orderings"]),
        *reproduction(computed["reproduction"]),
        *_comparison(tables, computed["comparison"], computed["timed_hypervolume"]),
        *latency_sections.sections(tables, channels),
        "## Made on",
        facts.made_on(records),
        "## Records",
        "`sc2 trace` follows these ids from a figure down to data, teacher and commit.",
        facts.listing(records),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def image(path: Path) -> str:
    """Return a figure beside the page, with its name as alternative text."""
    return f"![{path.stem.replace('_', ' ').capitalize()}]({path.name})"


def _links(paths: Sequence[Path]) -> str:
    return ", ".join(f"[{path.name}]({path.name})" for path in paths)


def _teacher(tables: Tables) -> str:
    teacher, quality, seeds = tables.teacher.iloc[0], tables.quality, len(tables.teacher)
    reached = with_spread(teacher_value(tables), float(tables.teacher[quality.primary].std()), 2, seeds)
    over = f" (mean ± standard deviation over {seeds} seeds)" if seeds > 1 else ""
    return (
        f"Teacher {code(teacher['teacher'])}: {in_a_sentence(quality.label)} "
        f"{reached}{quality.unit}{over} on {number(teacher['images'])} test images, "
        f"{number(teacher['params'])} parameters, {number(teacher['macs'])} MACs."
    )


def _all_series(tables: Tables) -> list[Series]:
    return collect(tables, list(tables.rate_quality["method"].unique()))


def _seeds_text(tables: Tables) -> str:
    """Say what varies: the method alone, or with it the teacher of each seed."""
    seeds, teachers = tables.rate_quality["seed"].nunique(), len(tables.teacher)
    if seeds == 1:
        return ""
    several = f"; mean ± standard deviation where there are several of the {seeds} seeds of"
    if teachers == 1:
        return f"{several} a method's own training (the teacher is the same)"
    return f"{several} teacher and method (a method without training has the first seed's teacher)"


def _varied(tables: Tables) -> str:
    return "seeds of teacher and method" if len(tables.teacher) > 1 else "seeds"


def _results(tables: Tables, paired: pd.DataFrame) -> str:
    """Return one row per method and point."""
    alike = paired[(paired["method"] == paired["other_method"]) & ~paired["told_apart"]]
    unsure = {(row["other_method"], row["other_point"]) for _, row in alike.iterrows()}
    header = ("method", "point", tables.quality.label, "payload (B)", "of which headers (B)")
    costs = ("encoder (KB)", "encoder parameters", "encoder MACs")
    rows = [
        _result(series, index, (series.method, point) in unsure)
        for series in _all_series(tables)
        for index, point in enumerate(series.points)
    ]
    return table((*header, *costs), rows, numbers_from=2)


def _result(series: Series, index: int, unsure: bool) -> tuple[str, ...]:
    seeds = series.seeds[index]
    quality = with_spread(series.quality[index], series.quality_std[index], 2, seeds)
    size = with_spread(series.data_bytes[index], series.data_bytes_std[index], 1, seeds)
    return (
        series.title,
        series.facts.point(series.points[index]),
        f"{'≈ ' if unsure else ''}{quality} ({ends(series.quality_interval[:, index], 1)})",
        f"{size} ({ends(series.data_bytes_interval[:, index], 1)})",
        number(series.header_bytes[index], 1),
        number(series.encoder_kb[index], 1),
        number(series.encoder_params[index]),
        number(series.encoder_macs[index]),
    )


def published(ordering: pd.Series) -> Markup:
    """Return what is published of two methods, with a link to the source."""
    return Markup(f"[{escaped(str(ordering['claim']))}]({_PAPERS}#{ordering['source']})")


def _orderings(orderings: pd.DataFrame) -> list[str]:
    """Return the section on published orderings; none where no such pair of methods is run."""
    if orderings.empty:
        return []
    rows = [
        (
            published(row),
            Markup(f"**{row['verdict']}**"),
            f"{number(row['difference'], 1)} ({ends((row['difference_low'], row['difference_high']), 1)})",
            number(row["p"], 3),
            str(row["reason"]),
        )
        for _, row in orderings.iterrows()
    ]
    return [
        "## Published orderings",
        "Difference in percent of the other method's bytes or size, or in points of quality, with its 95 % interval "
        "over resamples of the test images and seeds, and a two-sided p; columns in "
        "[metrics.md](../../metrics.md#orderingscsv).",
        table(("published", "here", "difference", "p", ""), rows, numbers_from=5),
    ]


def _comparison(tables: Tables, comparison: pd.DataFrame, timed: pd.DataFrame) -> list[str]:
    """Return the section that compares every curve with the anchors."""
    volumes = {(row["method"], row["curve"]): float(row["hypervolume_ms"]) for _, row in timed.iterrows()}
    titles = {series.method: series.method_title for series in _all_series(tables)}
    anchors = {str(name): escaped(titles[str(name)]) for name in comparison["anchor"].unique()}
    rows = [
        _compared(of_anchors, volumes.get((method, curve), float("nan")))
        for (method, curve), of_anchors in comparison.groupby(["method", "curve"], sort=False)
    ]
    header = (
        "curve",
        *(f"BD-rate from {title} (%)" for title in anchors.values()),
        *(f"BD-quality from {title} ({tables.quality.label})" for title in anchors.values()),
        *("hypervolume, MACs", "hypervolume, ms"),
    )
    return [
        "## Comparison",
        f"Bjøntegaard differences from {' and '.join(anchors.values())} with 95 % intervals, each "
        "over what both curves cover; a dash where that is too little, for the reason in the table. ≈: the interval "
        "holds zero. The hypervolume is that of bytes, quality, and the encoder's multiply-accumulates or the device's "
        "time.",
        table(header, rows, numbers_from=1),
    ]


def _compared(of_anchors: pd.DataFrame, volume_ms: float) -> tuple[str, ...]:
    """Return a curve's row of the comparison, from its rows in the table, one per anchor, and its timed hypervolume."""
    rows = [row for _, row in of_anchors.iterrows()]
    first = rows[0]
    return (
        f"{first['method_title']}, {first['curve']}" if first["curve"] else str(first["method_title"]),
        *(_difference(row, "bd_rate_pct", 1) for row in rows),
        *(_difference(row, "bd_quality_points", 2) for row in rows),
        number(first["hypervolume"], 4),
        number(volume_ms, 4),
    )


def _difference(row: pd.Series, name: str, decimals: int) -> str:
    """Return a difference with its interval; a dash where there is none."""
    if row[name] != row[name]:
        return "–"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    mark = "≈ " if low <= 0 <= high and (low, high) != (0, 0) else ""
    return f"{mark}{number(row[name], decimals)} ({ends((low, high), decimals)})"
