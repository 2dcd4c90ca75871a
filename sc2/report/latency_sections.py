"""The sections of a snapshot's page on time: what was measured on this machine, and what it means over a channel."""

from collections.abc import Sequence

import pandas as pd

from sc2.report.latency_figure import LOSS_POINTS
from sc2.report.markdown import ends, escaped, number, table
from sc2.report.series import Tables

CHANNELS = "latency"
"""Name of the figure of latency over channels."""


def sections(tables: Tables, drawn: Sequence[str]) -> list[str]:
    """Return both sections; the second one only where its figure was drawn.

    Args:
        tables: Tables of the benchmark.
        drawn: The figure `CHANNELS` as Markdown, or nothing.
    """
    return ["## Latency", *_measured(tables), *(_over_channels(drawn) if drawn else [])]


def _measured(tables: Tables) -> list[str]:
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
    rows = [(*_run_cells(tables, time), *(_time(time, name) for name in columns)) for _, time in times.iterrows()]
    return [
        f"Median per image on {escaped('; '.join(machines))}. All is done image by image, but for the last column: "
        f"there the server answers {'; '.join(batches)} images at once, as the evaluation does. In brackets the 95 % "
        f"interval of the median.{_loaded(times)}",
        table(("method", "point", "seed", *columns.values()), rows, numbers_from=3),
    ]


def _over_channels(drawn: Sequence[str]) -> list[str]:
    """Return the section on latency over channels."""
    text = (
        "Mean time from an image to its answer over the rate of the uplink, without the round trip: device + 8 · bytes "
        f"/ rate + server, of each method at its point with the fewest bytes within {LOSS_POINTS:g} points of the "
        "teacher. Below the rates in [break_even.csv](break_even.csv) the one of two methods that sends fewer bytes is "
        "the faster one; columns in [metrics.md](../../metrics.md#break_evencsv)."
    )
    return ["## Latency over channels", text, *drawn]


def _time(row: pd.Series, name: str) -> str:
    part = name.removesuffix("_p50")
    return f"{number(row[name], 3)} ({ends((row[f'{part}_low'], row[f'{part}_high']), 3)})"


def _loaded(times: pd.DataFrame) -> str:
    """Say which times may be too long because the machine did other things; nothing where it did not."""
    loaded = times[times["loaded"]]["method"].unique()
    return f" **The machine was busy while these were timed: {escaped(', '.join(loaded))}.**" if len(loaded) else ""


def _run_cells(tables: Tables, time: pd.Series) -> tuple[str, str, str]:
    runs = tables.rate_quality
    run = runs[(runs["method"] == time["method"]) & (runs["point"] == time["point"])].iloc[0]
    return str(run["method_title"]), tables.facts_of(time["method"]).point(time["point"]), str(time["seed"])
