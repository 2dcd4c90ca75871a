"""docs/curves.md claims what the committed tables support: its numbers are looked up or computed again from them."""

import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sc2.report.columns import quality_of

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
PAGE = (ROOT / "docs/curves.md").read_text(encoding="utf-8")

DIGITS, BOXES, MASKS = "photodigits_small_resnet", "photodigits_detection", "photodigits_segmentation"
IMAGENETTE = "imagenette_efficientnet_lite0_sample"
SAMPLES = ("voc_detection_sample", "voc_segmentation_sample")
SECTIONS = {
    "photodigits": (DIGITS,),
    "imagenette": (IMAGENETTE,),
    "photodigits, detection and segmentation": (BOXES, MASKS),
    "PASCAL VOC": SAMPLES,
}
"""Where the points stand that a section quotes."""

LEARNED = ("factorized_prior", "scale_hyperprior", "mean_scale_hyperprior", "joint_autoregressive")
TWO_STREAMS = (*LEARNED[1:], "entropic_student_shp", "entropic_student_mshp")
CODECS = ("bpg", "webp", "jpeg")
QUOTE = re.compile(r"([\d.]+) %\s+with\s+([\d,]+)\s+bytes?\b")


@cache
def table(run: str, name: str = "rate_quality") -> pd.DataFrame:
    """A committed table; numbers of several seeds are averaged."""
    rows = pd.read_csv(REFERENCE / run / f"{name}.csv", dtype={"point": str, "seed": str})
    if "seed" not in rows:
        return rows
    keys = [key for key in ("benchmark", "method", "point") if key in rows]
    how = {name: "mean" if pd.api.types.is_numeric_dtype(rows[name]) else "first" for name in rows if name not in keys}
    return rows.groupby(keys, sort=False, dropna=False, as_index=False).agg(how)


def quality(run: str) -> pd.Series:
    """The primary quality of every point (%)."""
    return table(run)[quality_of(str(table(run)["task"].iloc[0])).primary]


def teacher(run: str) -> pd.Series:
    return table(run, "teacher").iloc[0]


def row(run: str, method: str, point: str) -> pd.Series:
    rows = table(run)
    [found] = [one for _, one in rows[(rows["method"] == method) & (rows["point"] == point)].iterrows()]
    return found


def curve(run: str, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Bytes in rising order, and qualities (%)."""
    of_method = (table(run)["method"] == method).to_numpy()
    sizes, values = table(run)["payload_bytes_mean"].to_numpy()[of_method], quality(run).to_numpy()[of_method]
    order = np.argsort(sizes)
    return sizes[order], values[order]


def lead(run: str, one: str, other: str) -> np.ndarray:
    """By how many points `one` leads at the sizes of `other` that it covers, on straight lines over log bytes."""
    (sizes, values), (at, its) = curve(run, one), curve(run, other)
    shared = (at >= sizes[0]) & (at <= sizes[-1])
    return np.interp(np.log(at[shared]), np.log(sizes), values) - its[shared]


# Points


def quotes() -> Iterable[tuple[tuple[str, ...], str, str]]:
    """Every "… % with … bytes" of the page, and the benchmarks that it may be of."""
    sections = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    for heading, text in zip(sections[1::2], sections[2::2], strict=True):
        yield from ((SECTIONS.get(heading, ()), *found) for found in QUOTE.findall(text))


@pytest.mark.parametrize(("runs", "percent", "size"), sorted(set(quotes())))
def test_every_point_that_the_page_quotes_is_measured(runs: tuple[str, ...], percent: str, size: str) -> None:
    measured = [
        (f"{value:.1f}", f"{number:,.0f}")
        for run in runs
        for value, number in zip(quality(run), table(run)["payload_bytes_mean"], strict=True)
    ]
    assert (percent, size) in measured, f"{runs}: {percent} % with {size} bytes is none of {measured}"


def test_the_quotes_are_found_and_name_the_teachers_too() -> None:
    assert len(list(quotes())) > 50
    for run in (DIGITS, BOXES, MASKS, *SAMPLES):
        its = teacher(run)[quality_of(str(teacher(run)["task"])).primary]
        assert f"{its:.1f} %" in PAGE


# Orderings

VERDICTS = {"Hold": "holds", "Do not hold": "does not hold", "Cannot be told": "cannot be told"}


@pytest.mark.parametrize(("run", "task"), [(DIGITS, "classification"), (BOXES, "detection"), (MASKS, "segmentation")])
def test_the_page_sorts_the_orderings_as_the_tables_do(run: str, task: str) -> None:
    section = PAGE.partition("## Published orderings")[2].partition("\n## ")[0]
    cells = {line.split(" | ")[0].strip("| "): line.strip("| ").split(" | ") for line in section.splitlines()}
    column = cells["task"].index(task)
    orderings = pd.read_csv(REFERENCE / run / "orderings.csv")
    for heading, verdict in VERDICTS.items():
        named = set(re.findall(r"`(\w+)`", cells[heading][column]))
        assert named == set(orderings.loc[orderings["verdict"] == verdict, "ordering"]), (run, heading)


def test_splits_against_codecs_on_imagenette() -> None:
    (sizes, values), students = curve(IMAGENETTE, "gained_student"), curve(IMAGENETTE, "entropic_student")[0]
    for codec in CODECS:
        at, its = curve(IMAGENETTE, codec)
        reached = its <= values.max()
        assert reached.any()
        assert (at[reached] > sizes.max()).all()
        assert at.min() > students[1]
    assert curve(IMAGENETTE, "bpg")[0].min() == min(curve(IMAGENETTE, codec)[0].min() for codec in CODECS)
    for codec in ("bpg", "webp"):
        assert lead(IMAGENETTE, codec, "entropic_student")[-1] > 0


@pytest.mark.parametrize("run", SAMPLES)
def test_codecs_keep_their_order_where_bytes_are_few(run: str) -> None:
    lowest = [(float(curve(run, codec)[0][0]), float(curve(run, codec)[1][0])) for codec in CODECS]
    for (size, value), (larger, worse) in pairwise(lowest):
        assert size < larger
        assert value > worse


@pytest.mark.parametrize("run", SAMPLES)
def test_splits_are_behind_the_better_codecs_on_voc(run: str) -> None:
    for split in ("channel_reduction_quantization", "entropic_student"):
        for codec in ("bpg", "webp"):
            assert (lead(run, codec, split) > 0).all()


# Computed numbers


def span(values: Iterable[float], digits: int = 1) -> str:
    found = list(values)
    return f"{min(found):.{digits}f} to {max(found):.{digits}f}"


def header_parts(run: str, points: Iterable[str]) -> str:
    rows = [row(run, "jpeg", point) for point in points]
    return ", ".join(f"{100 * one['codec_header_bytes_mean'] / one['payload_bytes_mean']:.0f}" for one in rows)


def encoder_parts(run: str) -> str:
    encoder, whole = table(run)[table(run)["method"] == "entropic_student"].iloc[0], teacher(run)
    params, macs = 100 * encoder["encoder_params"] / whole["params"], 100 * encoder["encoder_macs"] / whole["macs"]
    return f"{params:.1f} and {macs:.0f} % of the teacher's"


def unit_part(run: str) -> str:
    macs = row(run, "bottleneck_unit", "layer3_q1_s1_k32")["encoder_macs"]
    return f"{100 * macs / teacher(run)['macs']:.0f} % of the teacher's"


def local_model_part() -> str:
    macs, encoder = (row(DIGITS, *run)["encoder_macs"] for run in (("local_model", "16"), ("entropic_student", "4")))
    return f"{100 * macs / encoder:.0f} % of Entropic Student's encoder"


def codec_ratio() -> str:
    sizes = table(DIGITS).groupby("method")["sc2bench_encoder_kb"]
    own_low, own_high = sizes.min()["entropic_student"], sizes.max()["entropic_student"]
    return f"{min(sizes.min()[list(LEARNED)]) / own_high:.1f} to {max(sizes.max()[list(LEARNED)]) / own_low:.0f}"


def coded(two: bool) -> pd.DataFrame:
    rows = table(DIGITS)
    rows = rows[rows["estimated_bits_mean"].notna() & (rows["method"] != "channel_reduction_quantization")]
    return rows[rows["method"].isin(TWO_STREAMS) == two]


def beyond(two: bool) -> str:
    over = coded(two)["payload_bytes_mean"] - coded(two)["estimated_bits_mean"] / 8
    return f"{span(over)} bytes, at most {(100 * over / coded(two)['payload_bytes_mean']).max():.0f} %"


def pickled() -> str:
    rows = pd.concat([coded(False), coded(True)])
    return f"{span(1024 * rows['sc2bench_kb_mean'] - rows['payload_bytes_mean'], 0)} bytes"


def speeds(run: str) -> pd.Series:
    times = table(run, "latency")
    times = times[times["server_batch_ms_p50"] > 0]  # a label takes no time
    return (times["server_ms_p50"] / times["server_batch_ms_p50"]).groupby(times["method"]).median()


def all_speeds(run: str) -> float:
    times = table(run, "latency")
    return float((times["server_ms_p50"] / times["server_batch_ms_p50"]).median())


def spans_of_speeds(methods: Iterable[str]) -> str:
    return span(speeds(run)[method] for run in SAMPLES for method in methods)


COMPUTED: dict[tuple[str, str], Callable[[], str]] = {
    ("photodigits", "learned image codecs' encoder over Entropic Student's, KB as upstream counts"): codec_ratio,
    ("photodigits", "JPEG's headers, quality 10, 30, 60, 100"): lambda: (
        header_parts(DIGITS, ("10", "30", "60", "100")) + " % of the file"
    ),
    ("imagenette", "JPEG's headers, quality 10"): lambda: header_parts(IMAGENETTE, ("10",)) + " % of the file",
    ("photodigits", "encoder of the unit after layer3, MACs"): lambda: unit_part(DIGITS),
    ("imagenette", "encoder of the unit after layer3, MACs"): lambda: unit_part(IMAGENETTE),
    ("photodigits", "wider local model, MACs"): local_model_part,
    ("photodigits", "Entropic Student's encoder, parameters and MACs"): lambda: encoder_parts(DIGITS),
    ("imagenette", "Entropic Student's encoder, parameters and MACs"): lambda: encoder_parts(IMAGENETTE),
    ("photodigits", "payload beyond the estimate, one stream"): lambda: beyond(False),
    ("photodigits", "payload beyond the estimate, hyperpriors"): lambda: beyond(True),
    ("photodigits", "upstream's size beyond the payload, range coder"): pickled,
    ("photodigits", "speed in batches, classification, boxes, masks"): lambda: ", ".join(
        f"{all_speeds(run):.1f}" for run in (DIGITS, BOXES, MASKS)
    ),
    ("VOC", "speed in batches, codecs"): lambda: spans_of_speeds(CODECS),
    ("VOC", "speed in batches, CR+BQ and Entropic Student"): lambda: spans_of_speeds(
        ("channel_reduction_quantization", "entropic_student")
    ),
}


def test_every_computed_number_is_what_the_tables_give() -> None:
    lines = [line for line in PAGE.partition('id="computed"')[2].splitlines() if line.startswith("| ")]
    written = {(where, what): value for where, what, value in (line.strip("| ").split(" | ") for line in lines[1:])}
    assert written == {key: compute() for key, compute in COMPUTED.items()}
