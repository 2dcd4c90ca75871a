"""The results in docs/method.md and its figure, from the snapshots.

    python -m tests.method_page

writes the section between the two markers and docs/method.svg; tests/unit/test_pages.py holds both to the snapshots.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd

from sc2.jobs.identity import method_facts
from sc2.report import overview, style
from sc2.report.series import READ, read_tables
from tests import method_tables as tables
from tests.performance.page import SEEDS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "method.md"
BEGIN, END = "<!-- begin: written by `python -m tests.method_page` -->", "<!-- end -->"
PICTURE = "method.svg"
DRAWN = ("entropic_student", "entropic_student_joint", "gained_student", "bpg", "teacher_on_device", "local_model")
"""Methods of the figure, in the order of its legend."""
QUALITY = {
    "photodigits_small_resnet": ("Classification", "top1_pct", "top-1, %"),
    "imagenette_efficientnet_lite0_sample": ("Classification of photographs: Imagenette", "top1_pct", "top-1, %"),
    "photodigits_detection": ("Detection", "box_ap_pct", "box AP, %"),
    "photodigits_segmentation": ("Segmentation", "miou_pct", "mIoU, %"),
}
"""Benchmarks that the page shows: heading, measure and its name."""
RUN_FILES = {
    "config/config.yaml": ["photodigits_small_resnet", "photodigits_detection", "photodigits_segmentation"],
    "config/imagenette_sample.yaml": ["imagenette_efficientnet_lite0_sample"],
}
"""Run files that plan them."""
ABLATION = "photodigits_ablation"
FIGURE = "rate_accuracy_variants"
CHANGED = (
    "Beside its own method, on the same images, at points whose bytes differ by a quarter at most: at how many the "
    "variant is better or worse (the whole 95 % interval is on one side of zero), and where it differs most. Every "
    f"pair is in [paired.csv](reference/{ABLATION}/paired.csv)."
)


def section(root: Path = ROOT) -> str:
    """Return the section for the snapshots in a project."""
    reference = root / "docs" / "reference"
    parts = [BEGIN]
    device = []
    for benchmark, (heading, quality, shown) in QUALITY.items():
        read = _reader(reference / benchmark)
        runs = read("rate_quality")
        device.append((heading, runs, read("latency")))
        parts += [f"### {heading}", tables.points(runs, quality, shown)]
        parts += [
            tables.nearest(read("paired")),
            tables.equal(read("byte_ratios")),
            tables.bd_rates(read("comparison")),
        ]
    parts += ["### What the device runs", tables.device(device)]
    read = _reader(reference / ABLATION)
    parts += ["### One thing changed at a time", tables.variants(read("rate_quality"), read("comparison"))]
    parts += [f"![Accuracy against bytes of every variant](reference/{ABLATION}/{FIGURE}.svg)"]
    parts += [CHANGED, tables.changed(read("paired"), read("rate_quality"))]
    recipes = [tables.recipes(root, run_file, names) for run_file, names in RUN_FILES.items()]
    parts += ["### What each method is trained with", *recipes]
    performance = root / "docs" / "performance.md"
    parts += ["### What the trainings take", tables.trained(performance, SEEDS, QUALITY)]
    return "\n\n".join([*parts, END]) + "\n"


def draw(target: Path, root: Path = ROOT) -> None:
    """Draw our methods beside the Entropic Student, BPG and the corners, a panel per benchmark of the page."""
    facts, shown = method_facts(DRAWN), []
    for benchmark in QUALITY:
        folder = root / "docs" / "reference" / benchmark
        read = read_tables({name: folder / f"{name}.csv" for name in READ}, facts)
        runs = read.rate_quality[read.rate_quality["method"].isin(DRAWN)]
        order = runs["method"].map(DRAWN.index).sort_values(kind="stable").index
        shown.append(replace(read, rate_quality=runs.loc[order]))
    with style.applied():
        figure = overview.draw("Quality against bytes", [heading for heading, *_ in QUALITY.values()], shown, columns=2)
        figure.savefig(target, format="svg", metadata={"Title": PICTURE, "Date": None, "Creator": "sc2"})


def written(text: str, new: str) -> str:
    """Return a page with another section between the markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END + "\n")
    return before + new + after


def _reader(folder: Path) -> Callable[[str], pd.DataFrame]:
    """Return what reads a table of a snapshot, all of it as text."""
    return lambda name: pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), section()), encoding="utf-8")
    draw(PAGE.with_name(PICTURE))
