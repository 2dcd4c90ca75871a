"""Stage `model_latency`: its tables against the formula by hand, its figure, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sc2.errors import DataError
from sc2.measure.channel import PRESETS
from sc2.report import style
from sc2.report.series import read_tables
from sc2.report.timed import reaching, read_sizes, timed_points
from tests import results_tree
from tests.results_tree import FACTS, FRAME, POINTS, TIMED, sizes


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The results of a small benchmark."""
    monkeypatch.chdir(tmp_path)
    results_tree.write(Path("results"))
    return Path("results")


def test_every_point_is_modelled_over_every_preset(results: Path) -> None:
    table = pd.read_csv(results_tree.model(results)["end_to_end"], dtype={"point": str})
    assert len(table) == len(POINTS) * len(PRESETS)
    rows = table.set_index(["method", "point", "channel"])
    for preset in PRESETS:
        row: Any = rows.loc[("webp", "50", preset.name)]
        link = [8 * (size + FRAME) / preset.channel.kbit_s for size in sizes(600.0)]
        fixed = 0.5 + 2.0 + preset.channel.rtt_ms
        assert row["latency_ms_mean"] == pytest.approx(fixed + sum(link) / len(link), abs=1e-3)
        # The sizes are spread evenly, so percentiles lie at their places between the ends.
        for rank in (50, 95, 99):
            at = link[0] + rank / 100 * (link[-1] - link[0])
            assert row[f"latency_ms_p{rank}"] == pytest.approx(fixed + at, rel=0.002)
        late = sum(fixed + one > 1000 for one in link)
        assert row["missed_1000_ms_pct"] == pytest.approx(100 * late / len(link))
    lora = table[table["channel"] == "lora"].set_index("method")
    assert lora.loc["local_model", "latency_ms_p99"] == 12.0
    assert [lora.loc["local_model", f"device_ms_{what}"] for what in ("mean", "p95", "p99")] == [12.0] * 3
    assert set(lora["missed_1000_ms_pct"]) == {0.0, 100.0}


def test_times_that_rise_with_the_bytes_reach_every_image(results: Path) -> None:
    """The student at 4: bytes 90 to 110 besides the frame; 50 µs a byte on the device, 20 on the server."""
    table = pd.read_csv(results_tree.model(results)["end_to_end"], dtype={"point": str})
    row: Any = table.set_index(["method", "point", "channel"]).loc[("entropic_student", "4", "4g")]
    packets = np.array(sizes(100.0), dtype=float) + FRAME
    timed = packets[list(TIMED)]
    more = np.maximum(packets, timed.min()) - np.median(timed)
    sides = {"device": 4.0 + 0.05 * more, "server": 1.5 + 0.02 * more}
    for side, times in sides.items():
        assert row[f"{side}_ms_mean"] == pytest.approx(times.mean(), abs=1e-4)
        assert row[f"{side}_ms_p99"] == pytest.approx(np.percentile(times, 99), abs=1e-4)
    latency = sides["device"] + sides["server"] + 8 * packets / 6000 + 70
    for rank in (50, 95, 99):
        assert row[f"latency_ms_p{rank}"] == pytest.approx(np.percentile(latency, rank), abs=1e-4)


def test_pairs_break_even_where_the_formula_says(results: Path) -> None:
    table = pd.read_csv(results_tree.model(results)["break_even"])
    at_five = table[table["max_loss_points"] == 5.0]
    # Within five points of 90 %: WebP at 50, the student at 1, the local model.
    [row] = at_five[(at_five["method"] == "entropic_student") & (at_five["other_method"] == "webp")].to_dict("records")
    saved = (sum(sizes(600.0)) - sum(sizes(200.0))) / 200
    assert row["break_even_kbit_s"] == pytest.approx(8 * saved / (5.5 - 2.5), rel=1e-4)
    assert (str(row["other_point"]), row["faster"]) == ("50", "method below")
    # Times may be 10 % off either way.
    assert row["break_even_kbit_s_low"] == pytest.approx(8 * saved / (1.1 * 5.5 - 0.9 * 2.5), rel=1e-3)
    assert row["break_even_kbit_s_high"] == pytest.approx(8 * saved / (0.9 * 5.5 - 1.1 * 2.5), rel=1e-3)
    local = at_five[(at_five["method"] == "local_model") & (at_five["other_method"] == "webp")].set_index("rtt_ms")
    assert sorted(local.index) == sorted(preset.channel.rtt_ms for preset in PRESETS)
    wifi = local.loc[3.0]
    assert wifi["break_even_kbit_s"] == pytest.approx(8 * (sum(sizes(600.0)) / 200 + FRAME) / (12 - 2.5 - 3), rel=1e-4)
    assert local.loc[1000.0, "reason"] == "faster at every rate"


def test_a_method_stands_for_its_point_with_the_fewest_bytes_that_keeps_the_quality(results: Path) -> None:
    folder = results / "tables" / "b"
    tables = read_tables({name: folder / f"{name}.csv" for name in ("rate_quality", "latency", "teacher")}, FACTS)
    paths = {(m, p, "0"): results / "evaluate" / "b" / m / p / "seed0" / "samples.parquet" for m, p in POINTS}
    points = timed_points(tables, read_sizes(paths))
    chosen = {loss: {name: p.point for name, p in reaching(tables, points, loss).items()} for loss in (1, 2, 5, 20)}
    assert chosen == {
        1: {"webp": "90"},
        2: {"webp": "90", "entropic_student": "1"},
        5: {"webp": "50", "entropic_student": "1", "local_model": "8"},
        20: {"webp": "10", "entropic_student": "4", "local_model": "8"},
    }


def test_a_table_of_times_without_those_of_single_images_is_refused(results: Path) -> None:
    path = results / "tables" / "b" / "latency.csv"
    pd.read_csv(path, dtype=str).drop(columns=["device_us_per_byte"]).to_csv(path, index=False)
    with pytest.raises(DataError, match="the table latency has no column device_us_per_byte: measure it again"):
        results_tree.model(results)


def test_the_figure_has_a_line_per_method_and_is_the_same_twice(results: Path) -> None:
    first = results_tree.model(results)["svg"]
    before = first.read_bytes()
    for path in first.parent.iterdir():
        path.unlink()
    first.parent.rmdir()
    assert results_tree.model(results)["svg"].read_bytes() == before
    assert len(before) > 10_000


def test_the_figure_of_uncommitted_work_says_so(results: Path) -> None:
    assert style.UNCOMMITTED in results_tree.model(results, uncommitted=True)["svg"].read_text()


@pytest.mark.parametrize(
    ("damage", "told"), [("remove", "session_bytes"), ("garbage", "no readable column"), ("empty", "holds no images")]
)
def test_rows_per_image_that_cannot_be_used_are_named(results: Path, damage: str, told: str) -> None:
    path = results / "evaluate/b/webp/50/seed0/samples.parquet"
    if damage == "garbage":
        path.write_bytes(b"not parquet")
    else:
        table = pd.read_parquet(path)
        (table.drop(columns="session_bytes") if damage == "remove" else table.head(0)).to_parquet(path)
    with pytest.raises(DataError, match=told) as error:
        results_tree.model(results)
    assert str(path) in str(error.value)
