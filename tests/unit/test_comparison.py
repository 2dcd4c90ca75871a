"""The tables that compare curves hold what their definitions say, computed from the rounded tables."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sc2.errors import DataError
from sc2.job import RunningJob
from sc2.jobs.stages import STAGES
from sc2.measure.hypervolume import IDEAL_MACS_SHARE, REFERENCE_MACS_SHARE, Box, hypervolume
from sc2.methods import get_method
from sc2.report import tables
from sc2.report.fewest_bytes import Measured, fewest, limits_of
from sc2.report.table_io import read_table
from tests.measured import sample_inputs

TEACHER = {
    **{"benchmark": "b", "task": "classification", "teacher": "resnet", "seed": "0", "record_id": "7" * 16},
    **{"images": 4, "top1_pct": 74.5, "top5_pct": 99.0, "params": 1234, "macs": 1000},
}
BOX = Box((REFERENCE_MACS_SHARE, IDEAL_MACS_SHARE), (10.0, 74.5))
"""From the share of the most frequent of ten classes to the teacher."""
ANCHOR = {"1": (100.0, 60.0), "2": (200.0, 68.0), "3": (400.0, 72.0), "4": (800.0, 74.0)}


def run(method: str, point: str, size: float, top1: float, **changes: Any) -> dict[str, Any]:
    """A measurement; what no comparison reads is the same everywhere."""
    sizes = {f"payload_bytes_{name}": size for name in ("mean", "std", "p50", "p95", "p99")}
    sizes |= {
        "container_bytes_mean": size,
        "session_bytes_mean": size,
        "sc2bench_kb_mean": size / 1024,
        "sc2bench_kb_std": 0,
    }
    keys: dict[str, Any] = {
        "benchmark": "b",
        "task": "classification",
        "method": method,
        "method_title": method.title(),
    }
    keys |= {"trained": True, "rate_axis": "beta", "curve": "", "point": point, "seed": "0", "images": 4}
    costs: dict[str, Any] = {
        "encoder_params": 0,
        "encoder_param_bytes": 0,
        "encoder_table_bytes": 0,
        "sc2bench_encoder_kb": 0,
    }
    costs |= {"encoder_macs": 0, "server_params": 1, "server_macs": 1, "device_model": "c0de", "record_id": "a" * 16}
    nulls = {"codec_header_bytes_mean": None, "estimated_bits_mean": None}
    return {**keys, **sizes, **costs, **nulls, "top1_pct": top1, "top5_pct": 99.0, **changes}


def curve(method: str, factor: float = 1.0, **changes: Any) -> list[dict[str, Any]]:
    return [run(method, point, factor * size, top1, **changes) for point, (size, top1) in ANCHOR.items()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def make(
    folder: Path,
    runs: list[dict[str, Any]],
    teachers: Sequence[dict[str, Any]] = (TEACHER,),
    orderings: Mapping[str, Any] | None = None,
    images: int = 200,
    anchors: Sequence[str] = (),
) -> dict[str, pd.DataFrame]:
    paths = [folder / f"{number}.json" for number in range(len(runs))]
    of_teachers = [folder / f"teacher{number}.json" for number in range(len(teachers))]
    for path, content in zip([*paths, *of_teachers], [*runs, *teachers], strict=True):
        path.write_text(json.dumps(content))
    inputs: dict[str, Path | list[Path]] = {
        "summaries": paths,
        "latencies": [],
        "switches": [],
        "teachers": of_teachers,
        **sample_inputs(folder, runs, teachers, images),
    }
    outputs = {name: folder / f"{name}.csv" for name in STAGES["make_tables"].outputs}
    methods = list(dict.fromkeys(content["method"] for content in runs))
    spec = {"methods": methods, "anchors": [*anchors] or methods[:1], "orderings": orderings or {}, "published": []}
    tables.run(RunningJob("make_tables", {"benchmark": "b"}, spec, inputs, outputs, "0" * 16))
    return {name: read_table(path) for name, path in outputs.items()}


def test_every_curve_is_compared_with_the_first_of_the_anchor(folder: Path) -> None:
    other = {"encoder_macs": 500, "curve": "late"}
    late = [row | {"point": f"late{row['point']}"} for row in curve("unit", 0.25, **other)]
    runs = [*curve("jpeg"), *curve("unit", 0.5, curve="early"), *late]
    found = make(folder, runs)["comparison"]
    assert found["method"].tolist() == ["jpeg", "unit", "unit"]
    assert found["curve"].tolist() == ["", "early", "late"]
    assert set(found["anchor"]) == {"jpeg"}
    assert found["bd_rate_pct"].tolist() == [0, -50, -75]
    assert found["bd_quality_points"].tolist()[0] == 0
    assert found["bd_rate_quality_low"].tolist() == [60] * 3
    assert found["bd_quality_bytes_high"].tolist()[:2] == [800, 400]
    # From 100 to 200 of 25 … 200 bytes: one halving of three.
    assert found["bd_quality_reason"].tolist()[2] == (
        "the common rate interval is 33 % of the shorter curve, less than 50 %"
    )
    assert found["points"].tolist() == found["pareto_points"].tolist() == [4, 4, 4]
    expected = hypervolume(((0.25 * size, 0.5, top1) for size, top1 in ANCHOR.values()), BOX)
    assert found["hypervolume"].iloc[2] == pytest.approx(expected, abs=5e-7)
    assert found["bd_rate_pct_seed_std"].isna().all()


def test_every_anchor_has_a_row_of_every_curve(folder: Path) -> None:
    found = make(folder, [*curve("jpeg"), *curve("unit", 0.5), *curve("student", 0.25)], anchors=["jpeg", "unit"])
    rows = found["comparison"].set_index(["anchor", "method"])["bd_rate_pct"]
    assert rows.to_dict() == {
        **{("jpeg", "jpeg"): 0, ("jpeg", "unit"): -50, ("jpeg", "student"): -75},
        **{("unit", "jpeg"): 100, ("unit", "unit"): 0, ("unit", "student"): -50},
    }


def test_a_corner_has_a_hypervolume_and_a_reason_instead_of_differences(folder: Path) -> None:
    corner = run("teacher_on_device", "label", 0, 74.5, encoder_macs=1000, rate_axis="label")
    found = make(folder, [*curve("jpeg"), corner])["comparison"].iloc[1]
    assert found["hypervolume"] == pytest.approx(hypervolume([(0, 1, 74.5)], BOX), abs=5e-7)
    assert np.isnan(found["bd_rate_pct"])
    assert found["bd_rate_reason"] == found["bd_quality_reason"] == "the curve has fewer than 4 Pareto points: 1"


def test_a_curve_with_a_point_without_bytes_is_not_compared(folder: Path) -> None:
    student = [run("student", "0", 0, 40), *curve("student", 0.9)]
    found = make(folder, [*curve("jpeg"), *student])["comparison"].iloc[1]
    assert (
        found["bd_rate_reason"]
        == found["bd_quality_reason"]
        == "the curve has a point without bytes, which has no logarithm"
    )


def test_the_spread_over_seeds_is_that_of_the_differences_seed_by_seed(folder: Path) -> None:
    seeds = [curve("student", factor, seed=str(seed)) for seed, factor in enumerate((0.5, 0.4, 0.6))]
    found = make(folder, [*curve("jpeg"), *(row for rows in seeds for row in rows)])["comparison"].iloc[1]
    assert found["seeds"] == 3
    # The mean curve has half the bytes; seed by seed it is -50, -60 and -40 %.
    assert found["bd_rate_pct"] == pytest.approx(-50)
    assert found["bd_rate_pct_seed_std"] == pytest.approx(10)


def test_a_seed_is_compared_with_the_same_seed_of_the_anchor(folder: Path) -> None:
    """Both curves move together with the seed, so that the difference does not move at all."""
    runs = [row for seed, factor in (("0", 1.0), ("1", 1.2)) for row in curve("first", factor, seed=seed)]
    runs += [row for seed, factor in (("0", 0.5), ("1", 0.6)) for row in curve("second", factor, seed=seed)]
    found = make(folder, runs)["comparison"].iloc[1]
    assert found["bd_rate_pct"] == pytest.approx(-50)
    assert found["bd_rate_pct_seed_std"] == pytest.approx(0, abs=1e-3)


def test_a_spread_needs_a_value_of_every_seed(folder: Path) -> None:
    good = curve("student", 0.5, seed="0")
    far = [row | {"top1_pct": 10.0 + number} for number, row in enumerate(curve("student", 0.5, seed="1"))]
    found = make(folder, [*curve("jpeg"), *good, *far])["comparison"].iloc[1]
    assert np.isnan(found["bd_rate_pct_seed_std"])


def rows_of(found: pd.DataFrame, loss: float, method: str, **limits: float) -> pd.Series:
    chosen = (found["max_loss_points"] == loss) & (found["method"] == method)
    for column, limit in limits.items():
        chosen &= found[column] == limit
    (row,) = [row for _, row in found[chosen].iterrows()]
    return row


def test_fewest_bytes_of_measured_points(folder: Path) -> None:
    unit = {"sc2bench_encoder_kb": 25.0, "encoder_macs": 20}
    local = run("local", "label", 2, 72.5, sc2bench_encoder_kb=300, encoder_macs=100)
    runs = [*curve("jpeg"), *curve("unit", 0.5, **unit), local]
    found = make(folder, runs)["fewest_bytes"]
    # 74.5 - 1 = 73.5: only the last point of a curve reaches it, whatever lies between the points.
    assert rows_of(found, 1, "jpeg", encoder_limit_kb=0)["payload_bytes_mean"] == 800
    row = rows_of(found, 1, "unit", encoder_limit_kb=30)
    assert (row["point"], row["payload_bytes_mean"], row["top1_pct"], row["min_quality"]) == ("4", 400, 74, 73.5)
    assert (row["sc2bench_encoder_kb"], row["encoder_macs_pct"]) == (25, 2)
    assert rows_of(found, 5, "unit", encoder_limit_macs_pct=3)["payload_bytes_mean"] == 200
    assert rows_of(found, 1, "unit", encoder_limit_kb=0)["reason"] == "no encoder within the limit"
    assert rows_of(found, 1, "local", encoder_limit_macs_pct=10)["reason"] == "quality not reached"
    assert np.isnan(rows_of(found, 1, "local", encoder_limit_macs_pct=10)["payload_bytes_mean"])
    assert rows_of(found, 2, "local", encoder_limit_kb=300)["payload_bytes_mean"] == 2
    assert sorted(set(found["encoder_limit_kb"].dropna())) == [0, 30, 300]
    assert sorted(set(found["encoder_limit_macs_pct"].dropna())) == [0, 3, 10]
    assert len(found) == 5 * 6 * 3


def test_a_threshold_is_reached_by_what_equals_it(folder: Path) -> None:
    found = make(folder, [run("jpeg", "1", 100, 72.5), run("jpeg", "2", 200, 74.0)])["fewest_bytes"]
    assert rows_of(found, 2, "jpeg", encoder_limit_kb=0)["point"] == "1"


def test_the_fewest_bytes_of_equals_and_the_reason_beyond_a_limit() -> None:
    points = [Measured("", "a", 50, 70, 10, 1), Measured("", "b", 50, 71, 10, 1), Measured("", "c", 60, 73, 99, 9)]
    found, reason = fewest(points, 70, "encoder_kb", 10)
    assert found is not None
    assert (found.point, reason) == ("b", "")
    assert fewest(points, 73, "encoder_kb", 10) == (None, "quality reached only beyond the limit")


def test_limits_are_round_and_each_admits_more() -> None:
    assert limits_of([0, 0, 69, 70.8, 4800, 310]) == [0, 100, 1000, 10000]
    assert limits_of([25, 30, 31]) == [30, 100]
    assert limits_of([0.5]) == [1]
    assert limits_of([0]) == [0]


def test_a_teacher_without_macs_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match="key 'macs' is 0"):
        make(folder, curve("jpeg"), teachers=[{**TEACHER, "macs": 0}])


def test_a_method_has_one_curve_unless_it_says_otherwise() -> None:
    assert get_method("jpeg").curve("10") == ""
