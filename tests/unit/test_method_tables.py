"""The tables of docs/method.md, from made tables whose answers are known."""

from pathlib import Path
from typing import Any

import pandas as pd

from tests import method_tables as tables
from tests.generated import marks, put


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows).astype(str)


def run(method: str, point: str, size: float, top1: float, seed: int = 0) -> dict[str, Any]:
    return {
        **{"method": method, "method_title": method.title(), "point": point, "seed": seed, "top1_pct": top1},
        **{"top1_pct_low": top1 - 2, "top1_pct_high": top1 + 1, "payload_bytes_mean": size},
        **{"encoder_params": 1234, "encoder_macs": 2_500_000, "encoder_table_bytes": 100 + 20 * int(point)},
    }


def pair(method: str, point: float, other: str, of_other: float, difference: float, told: bool) -> dict[str, Any]:
    return {
        **{"method": method, "method_title": method.title(), "point": point, "payload_bytes_mean": point},
        **{"other_method": other, "other_method_title": other.title(), "other_point": of_other},
        **{"other_payload_bytes_mean": of_other, "difference_points": difference},
        **{"difference_points_low": difference - 1, "difference_points_high": difference + 3},
        "told_apart": str(told).lower(),
    }


def lines(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines()[2:]]


def test_a_point_is_the_mean_over_its_seeds() -> None:
    runs = [run("entropic_student", "4", 10, 70), run("entropic_student", "4", 20, 80, seed=1), run("jpeg", "4", 1, 1)]
    assert lines(tables.points(frame(runs), "top1_pct", "top-1")) == [
        ["Entropic_Student", "4", "75.0 (73.0 … 76.0)", "15.0", "2"]
    ]


def test_the_device_has_the_tables_of_all_its_points() -> None:
    runs = frame([run(method, point, 10, 70) for method in tables.SHOWN for point in ("1", "3")])
    times = frame(
        [
            {
                **{"method": method, "encoder_ms_p50": 1, "encoder_ms_low": 0.5, "encoder_ms_high": 2},
                "coder_encode_ms_p50": coding,
            }
            for method in tables.SHOWN
            for coding in (0.1, 0.3)
        ]
    )
    found = lines(tables.device([("Digits", runs, times)]))
    assert [row[1] for row in found] == [method.title() for method in tables.SHOWN]
    assert found[0][2:] == ["1,234", "120 to 160", "2.50 M", "1.00 (0.50 … 2.00)", "0.10 to 0.30"]


def test_ours_minus_its_is_the_pair_turned_round() -> None:
    pairs = frame(
        [pair("entropic_student", 100, "gained_student", 50, -4, told=True), pair("a", 1, "b", 1, 0, told=False)]
    )
    assert lines(tables.nearest(pairs)) == [
        ["β=100", "100.0", "Gained_Student, r=50", "50.0", "-50 %", "+4.0 (+1.0 … +5.0)"]
    ]


def test_a_variant_is_counted_where_its_bytes_are_near_and_its_predictions_its_own() -> None:
    pairs = [
        pair("m", 100, "m.v", 110, 5, told=True),  # the variant is worse
        pair("m", 50, "m.v", 45, -7, told=True),
        pair("m", 20, "m.v", 20, -8, told=False),
        pair("m", 10, "m.v", 20, 90, told=True),  # twice the bytes: no comparison
        pair("m", 100, "m.same", 100, 9, told=True),
        pair("m", 100, "other.v", 100, 9, told=True),
        pair("m", 100, "m", 100, 9, told=True),
    ]
    runs = [run(method, "1", 1, top1) for method, top1 in {"m": 7, "m.v": 8, "m.same": 7, "other.v": 7}.items()]
    assert lines(tables.changed(frame(pairs), frame(runs))) == [
        ["M.V", "3", "1", "1", "1", "+8.0 (+5.0 … +9.0), 20.0 B against 20.0 B"]
    ]


def test_epochs_are_those_of_every_training(root: Path) -> None:
    rows = {row[1]: row[2:] for row in lines(tables.recipes(root, "config/config.yaml", ["photodigits_detection"]))}
    # Five points: one epoch of features and three of the task, then one more for each of the other four.
    assert rows["entropic_student"] == ["distill 1 × 0.003, finetune 3 × 0.02", "finetune 1 × 0.01", "8"]
    assert rows["gained_student"] == ["joint 6 × 0.004", "the same training", "6"]


def test_trainings_are_listed_in_the_order_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("\n".join(marks("it")))
    rows = [
        f"| {benchmark} | {method} | 9 |" for benchmark in "ab" for method in ("gained_student", "entropic_student")
    ]
    put(page, "it", ["| benchmark | method | seconds of a seed |", "|---|---|---:|", *rows, "| a | jpeg | 1 |"])
    found = lines(tables.trained(page, "it", ["b", "a"]))
    assert [row[:2] for row in found] == [
        [benchmark, method] for benchmark in "ba" for method in ("entropic_student", "gained_student")
    ]
