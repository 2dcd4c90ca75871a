"""The results in docs/method.md, from the snapshots.

    python -m tests.method_page

writes the section between the two markers; tests/unit/test_pages.py holds it to the snapshots.
"""

from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "method.md"
BEGIN, END = "<!-- begin: written by `python -m tests.method_page` -->", "<!-- end -->"
OURS, OTHER = ("gained_student", "entropic_student_joint"), "entropic_student"
QUALITY = {
    "photodigits_small_resnet": ("Classification", "top1_pct", "top-1, %"),
    "imagenette_efficientnet_lite0_sample": ("Classification of photographs: Imagenette", "top1_pct", "top-1, %"),
    "photodigits_detection": ("Detection", "box_ap_pct", "box AP, %"),
    "photodigits_segmentation": ("Segmentation", "miou_pct", "mIoU, %"),
}
"""Benchmarks that the page shows: heading, measure and its name."""
ABLATION = "photodigits_ablation"
PERFORMANCE = "docs/performance.md"
TRAINED = "What is trained, with all of its phases, points and benchmarks:\n\n"
"""The line above the table of PERFORMANCE that says what each method's trainings take."""


def section(root: Path = ROOT) -> str:
    """Return the section for the snapshots in a project."""
    parts = [BEGIN]
    for benchmark, (heading, quality, shown) in QUALITY.items():
        folder = root / "docs" / "reference" / benchmark
        parts += [f"### {heading}", _points(_read(folder / "rate_quality.csv"), quality, shown)]
        parts += [_nearest(_read(folder / "paired.csv")), _equal(_read(folder / "byte_ratios.csv"))]
        parts += [_bd_rates(_read(folder / "comparison.csv"))]
    reference = root / "docs" / "reference"
    figure = f"![Accuracy against bytes of every variant](reference/{ABLATION}/rate_accuracy.svg)"
    parts += ["### One thing changed at a time", _variants(reference / ABLATION), figure]
    parts += ["### What the trainings take", _trained((root / PERFORMANCE).read_text(encoding="utf-8"))]
    return "\n\n".join([*parts, END]) + "\n"


def written(text: str, new: str) -> str:
    """Return a page with another section between the markers."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END + "\n")
    return before + new + after


def _points(rows: pd.DataFrame, quality: str, shown: str) -> str:
    """Return the operating points of our methods and of the Entropic Student, with what the device runs."""
    chosen = rows[rows["method"].isin([*OURS, OTHER])]
    lines = []
    for (_, point), runs in chosen.groupby(["method_title", "point"], sort=False):
        first, means = runs.iloc[0], runs[[quality, "payload_bytes_mean"]].astype(float).mean()
        lines.append(
            [
                *(
                    str(first["method_title"]),
                    str(point),
                    f"{means[quality]:.1f}",
                    f"{means['payload_bytes_mean']:.1f}",
                ),
                *(f"{int(first['encoder_params']):,}", f"{int(first['encoder_macs']) / 1e6:.2f} M", str(len(runs))),
            ]
        )
    header = ["method", "point", shown, "payload, bytes", "encoder parameters", "encoder MACs", "seeds"]
    return _table(header, lines, right=2)


def _nearest(rows: pd.DataFrame) -> str:
    """Return the paired differences of the Entropic Student's points to our nearest rates, with 95 % intervals."""
    lines = []
    for _, row in rows[(rows["method"] == OTHER) & rows["other_method"].isin(OURS)].iterrows():
        its, own = float(row["payload_bytes_mean"]), float(row["other_payload_bytes_mean"])
        # The table has its quality minus ours.
        high, middle, low = (-float(row[f"difference_points{end}"]) for end in ("_low", "", "_high"))
        lines.append(
            [
                *(
                    f"β={row['point']}",
                    f"{its:.1f}",
                    f"{row['other_method_title']}, r={row['other_point']}",
                    f"{own:.1f}",
                ),
                *(f"{100 * (own / its - 1):+.0f} %", f"{middle:+.1f} ({low:+.1f} … {high:+.1f})"),
            ]
        )
    header = ["Entropic Student", "bytes", "ours", "bytes", "bytes, ours against its", "quality, ours minus its"]
    return _table(header, lines, right=3)


def _equal(rows: pd.DataFrame) -> str:
    """Return how many times our bytes the Entropic Student needs at equal quality, with 95 % intervals."""
    lines = []
    for _, row in rows[(rows["method"] == OTHER) & rows["other_method"].isin(OURS)].iterrows():
        ends = [row[f"byte_ratio_{end}"] for end in ("low", "high")]
        interval = " … ".join(f"{float(end):.1f}" if end else "?" for end in ends)
        quality = f"{float(row['min_quality']):.1f} ({row['max_loss_points']} below the teacher)"
        lines.append([str(row["other_method_title"]), quality, f"{float(row['byte_ratio']):.1f} ({interval})"])
    if not lines:
        return "No point of the Entropic Student comes within ten points of the teacher: no bytes at equal quality."
    return _table(["ours", "quality reached", "Entropic Student's bytes over ours"], lines, right=1)


def _bd_rates(rows: pd.DataFrame) -> str:
    """Return our BD-rates from each anchor, with 95 % intervals over images and seeds."""
    anchors = list(rows["anchor"].unique())
    titles = dict(zip(rows["method"], rows["method_title"], strict=True))
    lines = []
    for method in OURS:
        own = rows[rows["method"] == method]
        lines.append([titles[method], *(_bd_rate(row) for _, row in own.iterrows()), str(own["seeds"].iloc[0])])
    return _table(["ours", *(f"BD-rate from {titles[anchor]}, %" for anchor in anchors), "seeds"], lines, right=1)


def _bd_rate(row: pd.Series) -> str:
    """Return a BD-rate with its interval, or why there is none."""
    low, value, high = (row[f"bd_rate_pct{end}"] for end in ("_low", "", "_high"))
    return str(row["bd_rate_reason"]) or f"{float(value):+.0f} ({float(low):+.0f} … {float(high):+.0f})"


def _variants(folder: Path) -> str:
    """Return every method and variant of the ablation: its points, its bytes against the first's, and its device."""
    points, compared = _read(folder / "rate_quality.csv"), _read(folder / "comparison.csv").set_index("method")
    lines = []
    for method, own in points.groupby("method", sort=False):
        (_, row), numbers = (
            next(compared.loc[[method]].iterrows()),
            own[["top1_pct", "payload_bytes_mean"]].astype(float),
        )
        numbers = numbers.sort_values("payload_bytes_mean")
        reached = [f"{top1:.1f} @ {size:.1f}" for top1, size in numbers.itertuples(index=False)]
        shown = ", ".join(reached) if len(reached) < 4 else f"{reached[0]} … {reached[-1]}"
        saved = _bd_rate(row)
        device = [f"{int(own[name].iloc[0]):,}" for name in ("encoder_params", "encoder_table_bytes")]
        macs = f"{int(own['encoder_macs'].iloc[0]) / 1e6:.2f} M"
        lines.append([str(row["method_title"]), shown, "–" if method == OTHER else saved, *device, macs])
    header = ["", "top-1, % @ bytes", "bytes at equal accuracy against the first, %"]
    return _table([*header, "encoder parameters", "table bytes", "encoder MACs"], lines, right=2)


def _trained(page: str) -> str:
    """Return what trainings of the default take, one thread each: all points, phases and tasks of a method."""
    lines = [line.strip("| ").split(" | ") for line in page.partition(TRAINED)[2].partition("\n\n")[0].splitlines()]
    chosen = [line[:3] for line in lines if line[0] in (OTHER, *OURS)]
    return _table(["all three tasks, one seed", "trainings", "seconds of one core"], chosen, right=1)


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _table(header: list[str], rows: list[list[str]], *, right: int) -> str:
    rule = ["---" if column < right else "---:" for column in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), section()), encoding="utf-8")
