"""What several tasks cost together, on runs whose sums are known."""

import pandas as pd
import pytest

from sc2.report import serving
from sc2.report.columns import serving_columns
from sc2.report.series import Tables


def tables(task: str, quality: str, runs: dict[tuple[str, str], tuple[str, float, int, int]]) -> Tables:
    rows = [
        {
            **{"method": method, "method_title": method.title(), "point": point, "seed": "0", "device_model": model},
            **{"payload_bytes_mean": size, "encoder_macs": macs, "encoder_param_bytes": params, quality: 50.0},
        }
        for (method, point), (model, size, macs, params) in runs.items()
    ]
    return Tables(pd.DataFrame(rows), pd.DataFrame(), pd.DataFrame([{"task": task, quality: 60.0}]))


CLASSIFICATION = tables(
    "classification",
    "top1_pct",
    {("shared", "1"): ("a", 100, 10, 4), ("own", "1"): ("b", 70, 5, 8), ("shared", "2"): ("z", 1, 1, 1)},
)
DETECTION = tables("detection", "box_ap_pct", {("shared", "1"): ("a", 160, 25, 4), ("own", "1"): ("c", 80, 7, 8)})
SEGMENTATION = tables("segmentation", "miou_pct", {("own", "1"): ("d", 90, 8, 8), ("shared", "1"): ("a", 150, 25, 4)})


SMALL, LARGE = {"resize": 64, "crop": 64}, {"resize": 96, "crop": 96}


def test_one_payload_where_device_half_and_input_are_the_same() -> None:
    shared, own = serving.rows("group", [CLASSIFICATION, DETECTION, SEGMENTATION], [LARGE] * 3)
    assert (shared["method"], shared["tasks"], shared["device_models"], shared["payloads"]) == ("shared", 3, 1, 1)
    # The bytes and the work of the task with the largest images serve all three.
    assert (shared["payload_bytes_together"], shared["payload_bytes_separately"]) == (160, 410)
    assert (shared["encoder_macs_together"], shared["encoder_macs_separately"]) == (25, 60)
    assert (shared["encoder_param_bytes_together"], shared["encoder_param_bytes_separately"]) == (4, 12)
    assert (own["method"], own["device_models"], own["payloads"]) == ("own", 3, 3)
    assert own["payload_bytes_together"] == own["payload_bytes_separately"] == 240
    assert own["encoder_macs_together"] == own["encoder_macs_separately"] == 20


def test_an_input_of_another_size_is_a_payload_of_its_own() -> None:
    shared, own = serving.rows("group", [CLASSIFICATION, DETECTION, SEGMENTATION], [SMALL, LARGE, dict(LARGE)])
    assert (shared["device_models"], shared["payloads"]) == (1, 2)
    # The classifier's, and one for both dense tasks; the encoder's parameters are there once.
    assert (shared["payload_bytes_together"], shared["payload_bytes_separately"]) == (100 + 160, 410)
    assert (shared["encoder_macs_together"], shared["encoder_macs_separately"]) == (10 + 25, 60)
    assert (shared["encoder_param_bytes_together"], shared["encoder_param_bytes_separately"]) == (4, 12)
    assert (own["payloads"], own["payload_bytes_together"]) == (3, 240)


def test_every_column_can_be_written() -> None:
    for row in serving.rows("group", [CLASSIFICATION, DETECTION], [LARGE] * 2):
        assert row["miou_pct"] is None
        for column in serving_columns():
            column.format(row[column.name])


def test_a_point_that_one_task_lacks_is_left_out() -> None:
    points = [(row["method"], row["point"]) for row in serving.rows("group", [CLASSIFICATION, DETECTION], [LARGE] * 2)]
    assert points == [("shared", "1"), ("own", "1")]
    other = tables("segmentation", "miou_pct", {("x", "1"): ("a", 1, 1, 1)})
    assert serving.rows("group", [DETECTION, other], [LARGE] * 2) == []


@pytest.mark.parametrize("count", [1, 2])
def test_two_of_three_may_share(count: int) -> None:
    other = tables("segmentation", "miou_pct", {("shared", "1"): ("q" * count, 40, 3, 2)})
    [row] = serving.rows("group", [CLASSIFICATION, DETECTION, other], [LARGE] * 3)
    assert row["device_models"] == 2
    assert row["payload_bytes_together"] == 200
