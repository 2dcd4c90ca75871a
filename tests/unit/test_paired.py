"""Paired tables, bytes at equal quality and published orderings against closed forms and independent tests."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sc2.errors import DataError
from sc2.measure.resampling import Interval, proportion_interval
from sc2.report.fewest_bytes import MAX_LOSS_POINTS
from sc2.report.orderings import verdict
from sc2.report.resampled import over_seeds, read_resamples
from sc2.report.series import Values
from tests.measured import write_samples
from tests.unit.test_comparison import ANCHOR, TEACHER, curve, make, run


def pair(found: pd.DataFrame, one: tuple[str, str], other: tuple[str, str]) -> pd.Series:
    keys = ("method", "point", "other_method", "other_point")
    chosen = (found[list(keys)] == [*one, *other]).all(axis=1)
    [row] = [row for _, row in found[chosen].iterrows()]
    return row


def test_a_difference_of_paired_images_has_the_error_of_those_that_differ(tmp_path: Path) -> None:
    """The better method is right wherever the other one is: n01 = 0, and the error is that of a share of 4 %."""
    runs = [*curve("webp"), *curve("student", 1.0)]
    for better in runs[4:]:
        better["top1_pct"] += 4.0
    row = pair(make(tmp_path, runs, images=1000)["paired"], ("webp", "2"), ("student", "2"))
    assert (row["difference_points"], row["only_right"], row["only_other_right"]) == (-4, 0, 40)
    error = 100 * np.sqrt(0.04 * 0.96 / 1000)
    ends = (row["difference_points_low"], row["difference_points_high"])
    assert ends == pytest.approx((-4 - 1.96 * error, -4 + 1.96 * error), abs=0.15)
    # By the two errors alone, 1.5 points each, one could not tell them apart.
    assert row["told_apart"]
    assert row["mcnemar_p"] == pytest.approx(min(1, stats.binomtest(0, 40).pvalue), abs=1e-6)


def test_neighbours_of_a_curve_and_the_nearest_points_of_others_are_paired(tmp_path: Path) -> None:
    far = [run("unit", "1", 20, 60.0), run("unit", "2", 30, 61.0)]
    found = make(tmp_path, [*curve("webp"), *curve("student", 1.5), *far])["paired"]
    own = found[found["method"] == found["other_method"]]
    assert own[["method", "point", "other_point"]].to_numpy().tolist() == [
        *(["webp", *steps] for steps in ("12", "23", "34")),
        *(["student", *steps] for steps in ("12", "23", "34")),
        ["unit", "1", "2"],
    ]
    others = found[found["method"] != found["other_method"]]
    # 100, 200, 400, 800 against 150, 300, 600, 1200: the nearest by ratio; twenty and thirty bytes are near nothing.
    assert others["point"].tolist() == ["1", "2", "3", "4"]
    assert others["other_point"].tolist() == ["1", "1", "2", "3"]
    assert pair(found, ("unit", "1"), ("unit", "2"))["told_apart"] == (
        pair(found, ("unit", "1"), ("unit", "2"))["difference_points_high"] < 0
    )


def test_bytes_at_equal_quality_lie_on_the_curve(tmp_path: Path) -> None:
    """74.5 - 5 = 69.5 lies between 68 at 200 and 72 at 400 bytes: linear in the logarithm."""
    made = make(tmp_path, [*curve("webp"), *curve("student", 0.5), run("jpeg", "1", 90, 40.0)])
    records: list[dict[Any, Any]] = made["equal_quality"].to_dict("records")
    found = {(row["max_loss_points"], row["method"]): row for row in records}
    expected = 200 * 2 ** (1.5 / 4)
    webp, student, jpeg = (found[5.0, method] for method in ("webp", "student", "jpeg"))
    assert webp["bytes_at_quality"] == pytest.approx(expected, abs=1e-3)
    assert (webp["point"], webp["at_most"]) == ("3", False)
    assert webp["bytes_at_quality_low"] < expected < webp["bytes_at_quality_high"]
    assert student["bytes_at_quality"] == pytest.approx(expected / 2, abs=1e-3)
    assert np.isnan(jpeg["bytes_at_quality"])
    assert jpeg["reason"] == "quality not reached"
    # Ten points below, the cheapest point of the student is still better.
    assert found[10.0, "student"]["bytes_at_quality"] == pytest.approx(50 * 2 ** (4.5 / 8), abs=1e-3)
    ratios = made["byte_ratios"]
    ratio = ratios[(ratios["max_loss_points"] == 5.0) & (ratios["other_method"] == "student")].iloc[0]
    # The same images are right at twice the bytes: the ratio is sure, whatever the resample.
    assert ratio[["byte_ratio", "byte_ratio_low", "byte_ratio_high"]].tolist() == pytest.approx([2, 2, 2], abs=1e-3)
    assert ratio["told_apart"]


def ordering(**values: Any) -> dict[str, Any]:
    return {"claim": "c", "source": "s", "metric": "bytes", "expected": "less", "than": 0.0, **values}


def test_orderings_hold_or_not_or_cannot_be_told(tmp_path: Path) -> None:
    better, worse = {"method": "student", "other": "webp"}, {"method": "webp", "other": "student"}
    asked = {
        "holds": ordering(**better),
        "fails": ordering(**worse),
        "far": ordering(**better, than=-60.0),
        "near": ordering(**better, metric="bytes_near_teacher"),
        "best": ordering(**better, metric="best_quality"),
        "teacher": ordering(method="unit", other="teacher", metric="best_quality"),
        "encoder": ordering(method="unit", other="student", metric="encoder_kb", expected="more"),
        "codec": ordering(method="unit", other="webp", metric="encoder_macs"),
        "apart": ordering(method="unit", other="webp"),
    }
    student = [row | {"sc2bench_encoder_kb": 30} for row in curve("student", 0.5)]
    unit = [run("unit", str(n), 10.0 * n, 40.0 + n, sc2bench_encoder_kb=60) for n in (1, 2)]
    found = make(tmp_path, [*curve("webp"), *student, *unit], orderings=asked)["orderings"].set_index("ordering")
    assert found["verdict"].to_dict() == {
        **{"holds": "holds", "fails": "does not hold", "far": "does not hold", "near": "holds"},
        **{"best": "cannot be told", "teacher": "holds", "encoder": "holds"},
        **{"codec": "cannot be told", "apart": "cannot be told"},
    }
    assert found["difference"]["holds"] == pytest.approx(-50, abs=1e-4)
    assert found["difference"]["fails"] == pytest.approx(100, abs=1e-4)
    assert found["p"]["holds"] == pytest.approx(2 / 301, abs=1e-4)
    assert found["difference"]["encoder"] == 100
    assert found["reason"]["codec"] == "the other one has no encoder"
    assert found["reason"]["apart"] == "no common quality interval"
    assert found["expected"]["far"] == "less than -60"


def test_a_verdict_needs_the_whole_interval_on_one_side() -> None:
    assert verdict(Interval(-3, -1), "less", 0) == "holds"
    assert verdict(Interval(-3, -1), "more", 0) == "does not hold"
    assert verdict(Interval(-3, 1), "less", 0) == "cannot be told"
    assert verdict(Interval(2, np.inf), "more", 1) == "holds"
    assert verdict(Interval(np.nan, np.nan), "more", 0) == "cannot be told"


def test_seeds_are_weighted_with_the_error_of_their_mean() -> None:
    means = {"0": 10.0, "1": 13.0, "2": 16.0}
    values: dict[str, Values] = {seed: np.full(20_000, value) for seed, value in means.items()}
    drawn = over_seeds(values)
    assert drawn.mean() == pytest.approx(13, abs=0.05)
    assert drawn.std() == pytest.approx(3 / np.sqrt(3), rel=0.03)
    assert over_seeds({"0": values["0"]}).tolist() == [10.0] * 20_000


def test_what_seeds_have_in_common_cancels_whatever_else_they_are_with() -> None:
    """Two methods that differ by one point in every seed: sure with the same seeds, not at all with others."""
    one: dict[str, Values] = {str(seed): np.full(20_000, value) for seed, value in enumerate((10.0, 13.0, 16.0))}
    other = {seed: values + 1 for seed, values in reversed(one.items())}
    assert over_seeds(other) - over_seeds(one) == pytest.approx(np.ones(20_000))
    apart = {str(int(seed) + 3): values for seed, values in other.items()}
    # Independent: the variances of both means, 3² / 3 each, add up.
    assert (over_seeds(apart) - over_seeds(one)).std() == pytest.approx(np.sqrt(6), rel=0.03)
    part = {seed: other[seed] for seed in ("1", "2")}
    covariance = np.cov(over_seeds(part), over_seeds(one))
    assert covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]) > 0.3


def test_images_are_compared_in_the_first_seed_that_both_have(tmp_path: Path) -> None:
    """Of 200 images, 120 are right with seed 0, 130 with seed 1 and 140 with seed 2."""
    tops = {"0": 60.0, "1": 65.0, "2": 70.0}

    def with_seeds(method: str, *seeds: str) -> list[dict[str, Any]]:
        return [run(method, "1", 100, tops[seed] + (5 if method == "unit" else 0), seed=seed) for seed in seeds]

    found = make(tmp_path, [*with_seeds("webp", "0"), *with_seeds("student", "0", "1"), *with_seeds("unit", "1", "2")])
    told = {
        (row["method"], row["other_method"]): (row["only_right"], row["only_other_right"], row["difference_points"])
        for _, row in found["paired"].iterrows()
    }
    assert told["webp", "student"] == (0, 0, -2.5)
    assert told["student", "unit"] == (0, 10, -10.0)
    assert np.isnan(told["webp", "unit"][:2]).all()
    assert told["webp", "unit"][2] == -12.5


def test_the_teacher_is_compared_by_the_mean_of_its_seeds(tmp_path: Path) -> None:
    """A point one below the teacher in every seed is about as far below its mean: that the seeds are apart cancels."""
    teachers = [{**TEACHER, "seed": seed, "top1_pct": top1} for seed, top1 in (("0", 70.0), ("1", 80.0))]
    runs = [run("unit", "1", 100, teacher["top1_pct"] - 1, seed=teacher["seed"]) for teacher in teachers]
    asked = {"below": ordering(method="unit", other="teacher", metric="best_quality")}
    made = make(tmp_path, runs, teachers, orderings=asked)
    found = made["orderings"].iloc[0]
    assert found["difference"] == -1
    assert -4 < found["difference_low"] < -1 < found["difference_high"] < 1  # the teacher's own mean: ± 1.96 · 5
    assert set(made["fewest_bytes"]["min_quality"]) == {75.0 - loss for loss in MAX_LOSS_POINTS}


def test_a_curve_of_several_seeds_is_as_sure_as_its_seeds_agree(tmp_path: Path) -> None:
    """All images alike in every seed but for three points more or less: the seeds' error is added to the images'."""
    runs = [row | {"seed": str(seed)} for seed in range(3) for row in curve("student")]
    for one in runs:
        one["top1_pct"] += {"0": -3.0, "1": 0.0, "2": 3.0}[one["seed"]]
    found = make(tmp_path, [*curve("webp"), *runs], images=1000)["paired"]
    row = pair(found, ("webp", "2"), ("student", "2"))
    assert row["difference_points"] == pytest.approx(0, abs=1e-4)
    assert row["difference_points_high"] == pytest.approx(1.96 * 3 / np.sqrt(3), abs=0.6)
    assert row["seeds"] == 1


def test_clustered_images_have_a_resampled_interval_and_plain_ones_wilsons(tmp_path: Path) -> None:
    plain = write_samples(tmp_path / "plain.parquet", 80.0, 100.0, images=100)
    of = read_resamples("classification", {"0": plain}, {("m", "1", "0"): plain}).runs["m", "1", "0"]
    assert of.quality_interval == pytest.approx([100 * end for end in proportion_interval(80, 100)])
    # The wrong answers are all of two of ten photographs.
    photos = {"group_photograph": [str(number // 10) for number in range(100)]}
    grouped = write_samples(tmp_path / "grouped.parquet", 80.0, 100.0, images=100, **photos)
    wide = (
        read_resamples("classification", {"0": grouped}, {("m", "1", "0"): grouped})
        .runs["m", "1", "0"]
        .quality_interval
    )
    assert wide.high - wide.low > 2 * (of.quality_interval.high - of.quality_interval.low)


def test_rows_of_other_images_are_refused(tmp_path: Path) -> None:
    teacher = write_samples(tmp_path / "teacher.parquet", 80.0, 0, images=100)
    other = write_samples(tmp_path / "other.parquet", 80.0, 100.0, images=99)
    with pytest.raises(DataError, match=r"other\.parquet: its images are not those of"):
        read_resamples("classification", {"0": teacher}, {("m", "1", "0"): other})
    (tmp_path / "broken.parquet").write_text("no Parquet")
    with pytest.raises(DataError, match=r"broken\.parquet: not readable"):
        read_resamples("classification", {"0": teacher}, {("m", "1", "0"): tmp_path / "broken.parquet"})


def test_every_summary_needs_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tests.unit.test_comparison.sample_inputs", lambda *_: {"samples": [], "teacher_samples": tmp_path / "t"}
    )
    with pytest.raises(DataError, match=r"4 summaries came with 0 files of rows per image"):
        make(tmp_path, curve("webp"))


def test_an_anchor_covers_its_own_quality(tmp_path: Path) -> None:
    row = make(tmp_path, curve("webp"))["comparison"].iloc[0]
    assert (row["bd_rate_pct_low"], row["bd_rate_pct"], row["bd_rate_pct_high"]) == (0, 0, 0)
    assert len(ANCHOR) == row["pareto_points"]
