"""The tables of docs/method.md, each from the committed tables of one or more benchmarks, as Markdown."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from sc2.config.load import load_config
from sc2.config.resolved import Benchmark
from sc2.jobs.plan import phases, trained_point
from tests.generated import table as table_of

OURS, OTHER = ("gained_student", "entropic_student_joint"), "entropic_student"
SHOWN = (OTHER, "entropic_student_joint", "gained_student")
"""Methods whose points the page lists, in that order."""
NEAR = 1.25
"""Bytes whose ratio is at most this are compared as if they were equal."""


def points(rows: pd.DataFrame, quality: str, shown: str) -> str:
    """Return the operating points of our methods and of the Entropic Student: means over seeds, 95 % intervals.

    An interval is the mean of the seeds' own, which share their images.
    """
    lines = []
    for (_, point), runs in rows[rows["method"].isin(SHOWN)].groupby(["method_title", "point"], sort=False):
        columns = (quality, f"{quality}_low", f"{quality}_high", "payload_bytes_mean")
        value, low, high, size = (runs[name].astype(float).mean() for name in columns)
        cells = (f"{value:.1f} ({low:.1f} … {high:.1f})", f"{size:.1f}", str(len(runs)))
        lines.append([str(runs["method_title"].iloc[0]), str(point), *cells])
    return markdown(["method", "point", shown, "payload, bytes", "seeds"], lines, right=2)


def device(benchmarks: Iterable[tuple[str, pd.DataFrame, pd.DataFrame]]) -> str:
    """Return what the device runs and holds.

    Args:
        benchmarks: Heading, `rate_quality` and `latency` of each.
    """
    lines = []
    for heading, runs, times in benchmarks:
        for method in SHOWN:
            own, timed = runs[runs["method"] == method], times[times["method"] == method]
            first, encoder = own.iloc[0], timed.iloc[0]
            tables = sorted({int(count) for count in own["encoder_table_bytes"]})
            ends = (float(encoder[f"encoder_ms_{end}"]) for end in ("p50", "low", "high"))
            coding = timed["coder_encode_ms_p50"].astype(float)
            lines.append(
                [
                    *(heading, str(first["method_title"]), f"{int(first['encoder_params']):,}"),
                    " to ".join(f"{count:,}" for count in dict.fromkeys((tables[0], tables[-1]))),
                    f"{int(first['encoder_macs']) / 1e6:.2f} M",
                    "{:.2f} ({:.2f} … {:.2f})".format(*ends),
                    f"{coding.min():.2f} to {coding.max():.2f}",
                ]
            )
    header = ["benchmark", "method", "encoder parameters", "table bytes", "encoder MACs", "encoder, ms", "coding, ms"]
    return markdown(header, lines, right=2)


def nearest(rows: pd.DataFrame) -> str:
    """Return the paired differences of the Entropic Student's points to our nearest rates, with 95 % intervals."""
    lines = []
    for _, row in rows[(rows["method"] == OTHER) & rows["other_method"].isin(OURS)].iterrows():
        its, ours = float(row["payload_bytes_mean"]), f"{row['other_method_title']}, r={row['other_point']}"
        lines.append([f"β={row['point']}", f"{its:.1f}", ours, *_difference(row)])
    header = ["Entropic Student", "bytes", "ours", "bytes", "bytes, ours against its", "quality, ours minus its"]
    return markdown(header, lines, right=3)


def equal(rows: pd.DataFrame) -> str:
    """Return how many times our bytes the Entropic Student needs at equal quality, with 95 % intervals."""
    lines = []
    for _, row in rows[(rows["method"] == OTHER) & rows["other_method"].isin(OURS)].iterrows():
        ends = [row[f"byte_ratio_{end}"] for end in ("low", "high")]
        interval = " … ".join(f"{float(end):.1f}" if end else "?" for end in ends)
        quality = f"{float(row['min_quality']):.1f} ({row['max_loss_points']} below the teacher)"
        lines.append([str(row["other_method_title"]), quality, f"{float(row['byte_ratio']):.1f} ({interval})"])
    if not lines:
        return "No point of the Entropic Student comes within fifteen points of the teacher: no bytes at equal quality."
    return markdown(["ours", "quality reached", "Entropic Student's bytes over ours"], lines, right=1)


def bd_rates(rows: pd.DataFrame) -> str:
    """Return our BD-rates from each anchor, with 95 % intervals over images and seeds."""
    anchors = list(rows["anchor"].unique())
    titles = dict(zip(rows["method"], rows["method_title"], strict=True))
    lines = []
    for method in OURS:
        own = rows[rows["method"] == method]
        lines.append([titles[method], *(_bd_rate(row) for _, row in own.iterrows()), str(own["seeds"].iloc[0])])
    return markdown(["ours", *(f"BD-rate from {titles[anchor]}, %" for anchor in anchors), "seeds"], lines, right=1)


def variants(rows: pd.DataFrame, comparison: pd.DataFrame) -> str:
    """Return every method and variant of the ablation: its points, its bytes against the first's, and its device.

    Methods without a device's coder, which send labels, are left out.
    """
    compared = comparison.set_index("method")
    lines = []
    for method, own in rows[rows["encoder_table_bytes"] != "0"].groupby("method", sort=False):
        _, row = next(compared.loc[[method]].iterrows())
        numbers = own[["top1_pct", "payload_bytes_mean"]].astype(float).sort_values("payload_bytes_mean")
        reached = [f"{top1:.1f} @ {size:.1f}" for top1, size in numbers.itertuples(index=False)]
        shown = ", ".join(reached) if len(reached) < 4 else f"{reached[0]} … {reached[-1]}"
        saved = "–" if method == OTHER else _bd_rate(row)
        on_device = [f"{int(own[name].iloc[0]):,}" for name in ("encoder_params", "encoder_table_bytes")]
        macs = f"{int(own['encoder_macs'].iloc[0]) / 1e6:.2f} M"
        lines.append([str(row["method_title"]), shown, saved, *on_device, macs])
    header = ["", "top-1, % @ bytes", "bytes at equal accuracy against the first, %"]
    return markdown([*header, "encoder parameters", "table bytes", "encoder MACs"], lines, right=2)


def changed(pairs: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Return how each variant does beside its method: the method's points against the variant's nearest in bytes.

    Pairs whose bytes differ by more than `NEAR` are left out, and variants whose points predict the same as their
    method's, which differ in bytes alone.

    Args:
        pairs: The table `paired`, whose differences have 95 % intervals.
        runs: The table `rate_quality`.
    """
    top1 = {method: dict(zip(own["point"], own["top1_pct"], strict=True)) for method, own in runs.groupby("method")}
    ratios = pairs["payload_bytes_mean"].astype(float) / pairs["other_payload_bytes_mean"].astype(float)
    near = pairs[(ratios <= NEAR) & (ratios >= 1 / NEAR)]
    lines = []
    for (method, other), own in near.groupby(["method", "other_method"], sort=False):
        if str(other).partition(".")[0] != method or other == method or top1[method] == top1[other]:
            continue
        of_variant = [float(value) for value in own["difference_points"]]
        apart = [value for value, told in zip(of_variant, own["told_apart"], strict=True) if told == "true"]
        # The table has the method's quality minus the variant's.
        better, worse = sum(value < 0 for value in apart), sum(value > 0 for value in apart)
        row = own.iloc[max(range(len(own)), key=lambda place: abs(of_variant[place]))]
        counts = (len(own), better, len(own) - better - worse, worse)
        bytes_there = f"{float(row['other_payload_bytes_mean']):.1f} B against {float(row['payload_bytes_mean']):.1f} B"
        lines.append([str(row["other_method_title"]), *map(str, counts), f"{_difference(row)[-1]}, {bytes_there}"])
    header = ["variant", "points", "better", "level", "worse", "largest difference, points of accuracy"]
    return markdown(header, lines, right=1)


def trained(page: Path, command: str, benchmarks: Iterable[str]) -> str:
    """Return what a seed of each method trains, from a page's table.

    Args:
        page: The page.
        command: What wrote its table.
        benchmarks: Those to list.
    """
    found = table_of(page, command, "seconds of a seed")
    lines = [
        list(row.values())
        for benchmark in benchmarks
        for method in SHOWN
        for row in found
        if (row["benchmark"], row["method"]) == (benchmark, method)
    ]
    return markdown(list(found[0]), lines, right=2)


def recipes(root: Path, run_file: str, benchmarks: Iterable[str]) -> str:
    """Return epochs and learning rates of each phase: of the first point, and of those chained after it.

    Args:
        root: The project.
        run_file: The run file.
        benchmarks: Those of its benchmarks to list.
    """
    config = load_config(root / run_file)
    lines = []
    for name in benchmarks:
        benchmark = config.benchmarks[name]
        for method in SHOWN:
            lines.append([name, method, *_recipe(benchmark, method)])
    header = ["benchmark", "method", "first point: phase, epochs, learning rate", "each point after it"]
    return markdown([*header, "epochs of all points"], lines, right=4)


def _recipe(benchmark: Benchmark, name: str) -> list[str]:
    """Return how the first point and each later one are trained, and the epochs of all points."""
    method: Any = benchmark.methods[name]
    each, epochs = [], 0
    for point in dict.fromkeys(trained_point(method, one) for one in method.points):
        params = {phase: method.phase(phase, point) for phase in phases(name)}
        each.append(", ".join(f"{phase} {one.epochs} × {one.lr:g}" for phase, one in params.items() if one.epochs))
        epochs += sum(one.epochs for one in params.values())
    return [each[0], each[1] if each[1:] else "the same training", str(epochs)]


def markdown(header: list[str], rows: list[list[str]], *, right: int) -> str:
    """Return a table whose columns from the `right`-th on stand to the right."""
    rule = ["---" if column < right else "---:" for column in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


def _difference(row: pd.Series) -> list[str]:
    """Return the other's bytes, how many percent they are more, and its quality minus the first's."""
    its, other = float(row["payload_bytes_mean"]), float(row["other_payload_bytes_mean"])
    # The table has the first's quality minus the other's.
    high, middle, low = (0.0 - float(row[f"difference_points{end}"]) for end in ("_low", "", "_high"))
    return [f"{other:.1f}", f"{100 * (other / its - 1):+.0f} %", f"{middle:+.1f} ({low:+.1f} … {high:+.1f})"]


def _bd_rate(row: pd.Series) -> str:
    """Return a BD-rate with its interval, or why there is none."""
    low, value, high = (row[f"bd_rate_pct{end}"] for end in ("_low", "", "_high"))
    return str(row["bd_rate_reason"]) or f"{float(value):+.0f} ({float(low):+.0f} … {float(high):+.0f})"
