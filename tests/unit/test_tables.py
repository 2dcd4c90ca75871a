"""The tables hold exactly what was measured, in one order, and refuse what does not fit together."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sc2.errors import DataError
from sc2.job import RunningJob
from sc2.jobs.stages import STAGES
from sc2.report import tables
from sc2.report.column import Column
from sc2.report.columns import latency_columns, rate_quality_columns
from sc2.report.table_io import read_table
from sc2.report.timed import SIDES, by_size
from tests.measured import sample_inputs

TEACHER = {
    **{"benchmark": "b", "task": "classification", "teacher": "small, wide", "seed": "0"},
    **{"record_id": "0000000000000007", "images": 4, "top1_pct": 75, "top5_pct": 100.0},
    **{"params": 1234, "macs": 5_000_000_000},
}
RATE_QUALITY = """\
benchmark,task,method,method_title,trained,rate_axis,curve,point,seed,images,top1_pct,top5_pct,\
payload_bytes_mean,payload_bytes_std,payload_bytes_p50,payload_bytes_p95,payload_bytes_p99,\
container_bytes_mean,session_bytes_mean,codec_header_bytes_mean,estimated_bits_mean,sc2bench_kb_mean,sc2bench_kb_std,\
top1_pct_low,top1_pct_high,payload_bytes_mean_low,payload_bytes_mean_high,\
encoder_params,encoder_param_bytes,encoder_table_bytes,sc2bench_encoder_kb,encoder_macs,server_params,server_macs,device_model,\
record_id
b,classification,webp,WebP,false,quality,,9,0,4,50.0000,66.6667,100.500,0.000,100.000,101.000,101.000,\
140.500,121.000,20.000,,0.098145,0.000000,15.0039,84.9961,100.500,100.500,0,0,0,0.000,0,10,20,c0de,1234567890123456
b,classification,webp,WebP,false,quality,,10,0,4,50.0000,66.6667,100.500,0.000,100.000,101.000,101.000,\
140.500,121.000,20.000,,0.098145,0.000000,15.0039,84.9961,100.500,100.500,0,0,0,0.000,0,10,20,c0de,1234567890123456
b,classification,es,Entropic Student (FP),true,beta,big,0.5,0,4,50.0000,66.6667,100.500,0.000,100.000,101.000,101.000,\
140.500,121.000,,801.250,0.098145,0.000000,15.0039,84.9961,100.500,100.500,6,24,8,0.031,7,10,20,c0de,00000000000000ff
b,classification,es,Entropic Student (FP),true,beta,big,0.5,10,4,50.0000,66.6667,100.500,0.000,100.000,101.000,101.000,\
140.500,121.000,,801.250,0.098145,0.000000,15.0039,84.9961,100.500,100.500,6,24,8,0.031,7,10,20,c0de,00000000000000ff
"""
LATENCY = """\
benchmark,method,point,seed,encoder_ms_p50,encoder_ms_low,encoder_ms_high,coder_encode_ms_p50,coder_encode_ms_low,\
coder_encode_ms_high,coder_decode_ms_p50,coder_decode_ms_low,coder_decode_ms_high,server_ms_p50,server_ms_low,\
server_ms_high,server_batch_ms_p50,server_batch_ms_low,server_batch_ms_high,encoder_ms_p95,coder_encode_ms_p95,\
server_batch,timed_images,timed_bytes_min,timed_bytes_p50,device_us_per_byte,server_us_per_byte,repeats,threads,cpu_share,load_per_core,loaded,encoder_network,server_network,cpu,record_id
b,webp,10,0,0.0000,0.0000,0.0000,1.2346,1.2000,1.3000,0.5000,0.4000,0.6000,3.0000,2.9000,3.1000,1.5000,,,0.0000,\
2.0000,16,6,90,115.0,20.0000,0.0000,30,1,0.999,0.500,false,,5e,"CPU, of some kind",ab
"""
TEACHER_CSV = """\
benchmark,task,teacher,seed,images,top1_pct,top5_pct,top1_pct_low,top1_pct_high,params,macs,record_id
b,classification,"small, wide",0,4,75.0000,100.0000,30.0642,95.4413,1234,5000000000,0000000000000007
"""


def summary(method: str, point: str, seed: str = "0", /, **changes: Any) -> dict[str, Any]:
    learned = method == "es"
    sizes = {"payload_bytes_mean": 100.5, "payload_bytes_std": -1e-9, "payload_bytes_p50": 100}
    sizes |= {"payload_bytes_p95": 101, "payload_bytes_p99": 101.0, "container_bytes_mean": 140.5}
    sizes |= {"session_bytes_mean": 121, "sc2bench_kb_mean": 100.5 / 1024}
    codec = {"method_title": "WebP", "rate_axis": "quality", "record_id": "1234567890123456", "encoder_params": 0}
    codec |= {
        "curve": "",
        "encoder_param_bytes": 0,
        "encoder_table_bytes": 0,
        "sc2bench_encoder_kb": 0,
        "encoder_macs": 0,
    }
    codec |= {"codec_header_bytes_mean": 20, "estimated_bits_mean": None}
    student: dict[str, Any] = {
        "method_title": "Entropic Student (FP)",
        "rate_axis": "beta",
        "record_id": "00000000000000ff",
    }
    student |= {"encoder_params": 6, "encoder_param_bytes": 24, "encoder_table_bytes": 8, "encoder_macs": 7.0}
    student |= {
        "curve": "big",
        "sc2bench_encoder_kb": 32 / 1024,
        "codec_header_bytes_mean": None,
        "estimated_bits_mean": 801.25,
    }
    keys = {"benchmark": "b", "task": "classification", "method": method, "point": point, "seed": seed, "images": 4}
    rest = {"trained": learned, "top1_pct": 50, "top5_pct": 200 / 3, "sc2bench_kb_std": 0.0, "server_params": 10}
    return {
        **keys,
        **rest,
        **sizes,
        **(student if learned else codec),
        "server_macs": 20,
        "device_model": "c0de",
        **changes,
    }


def latency(method: str = "webp", point: str = "10", **changes: Any) -> dict[str, Any]:
    keys = {"benchmark": "b", "method": method, "point": point, "seed": "0", "record_id": "ab"}
    times: dict[str, Any] = {
        "encoder_ms_p50": 0,
        "encoder_ms_p95": 0,
        "coder_encode_ms_p50": 1.23456,
        "coder_encode_ms_p95": 2,
    }
    times |= {"coder_decode_ms_p50": 0.5, "server_ms_p50": 3, "server_batch_ms_p50": 1.5, "server_batch": 16}
    times |= {"encoder_ms_low": 0, "encoder_ms_high": 0, "coder_encode_ms_low": 1.2, "coder_encode_ms_high": 1.3}
    times |= {"coder_decode_ms_low": 0.4, "coder_decode_ms_high": 0.6, "server_ms_low": 2.9, "server_ms_high": 3.1}
    times |= {"server_batch_ms_low": None, "server_batch_ms_high": None, "encoder_network": "", "server_network": "5e"}
    times |= {"repeats": 30, "threads": 1, "cpu": "CPU, of some kind"}
    times |= {"cpu_share": 0.999, "load_per_core": 0.5, "loaded": False}
    # The coder takes 20 µs more per byte; the server's times do not depend on them.
    sizes, server = (90, 100, 110, 120, 130, 140), (3.0, 3.2, 2.9, 3.1, 2.8, 3.0)
    times["images"] = [
        {"session_bytes": size, "encoder_ms": 0, "coder_encode_ms": size / 50, "coder_decode_ms": 0.5, "server_ms": ms}
        for size, ms in zip(sizes, server, strict=True)
    ]
    return {**keys, **times, **changes}


def latency_file(times: dict[str, Any]) -> dict[str, Any]:
    """A method's latency file with one run, as the stage writes it."""
    of_method = ("benchmark", "method", "threads", "cpu", "record_id", "cpu_share", "load_per_core", "loaded")
    run = {key: value for key, value in times.items() if key not in of_method}
    return {**{key: times[key] for key in of_method if key in times}, "runs": [run]}


SUMMARIES = [summary("es", "0.5", "10"), summary("webp", "10"), summary("es", "0.5"), summary("webp", "9")]


def make(
    folder: Path,
    summaries: list[dict[str, Any]],
    latencies: list[dict[str, Any]] | None = None,
    teachers: Sequence[dict[str, Any]] = (TEACHER,),
    switches: list[dict[str, Any]] | None = None,
) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)

    def write(name: str, content: dict[str, Any]) -> Path:
        path = folder / name
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    inputs: dict[str, Path | list[Path]] = {
        "summaries": [write(f"summary{number}.json", content) for number, content in enumerate(summaries)],
        "latencies": [write(f"latency{n}.json", latency_file(content)) for n, content in enumerate(latencies or [])],
        "switches": [write(f"switch{number}.json", content) for number, content in enumerate(switches or [])],
        "teachers": [write(f"evaluation{number}.json", content) for number, content in enumerate(teachers)],
        **sample_inputs(folder, summaries, teachers, images=4),
    }
    outputs = {name: folder / f"{name}.csv" for name in STAGES["make_tables"].outputs}
    spec = {"methods": ["webp", "es"], "anchors": ["webp"], "orderings": {}, "published": []}
    tables.run(RunningJob("make_tables", {"benchmark": "b"}, spec, inputs, outputs, "00"))
    return outputs


def test_tables_hold_exactly_what_was_measured(tmp_path: Path) -> None:
    made = make(tmp_path, SUMMARIES, [latency()])
    assert made["rate_quality"].read_bytes().decode() == RATE_QUALITY
    assert made["latency"].read_bytes().decode() == LATENCY
    assert made["teacher"].read_bytes().decode() == TEACHER_CSV


def test_the_teacher_has_a_row_per_seed_in_the_order_of_the_seeds(tmp_path: Path) -> None:
    teachers = [{**TEACHER, "seed": seed, "top1_pct": top1} for seed, top1 in (("10", 50), ("2", 75))]
    found = read_table(make(tmp_path, SUMMARIES, teachers=teachers)["teacher"])
    assert list(zip(found["seed"], found["top1_pct"], strict=True)) == [("2", 75.0), ("10", 50.0)]
    # Wilson's intervals of three and of two of four images.
    assert found["top1_pct_low"].tolist() == pytest.approx([30.0642, 15.0039])


SWITCH = """\
benchmark,method,from_point,to_point,seed,device_switch_bytes,server_switch_bytes,device_half_bytes,server_half_bytes,\
device_switch_ms_p50,server_switch_ms_p50,threads,cpu,record_id
b,webp,9,10,0,0,0,0,40,0.0000,0.0000,1,CPU,cd
b,webp,10,9,0,0,0,0,40,0.0000,0.0000,1,CPU,cd
b,es,0.5,4,0,8,12,16,40,0.1235,2.0000,1,CPU,cd
b,es,4,0.5,0,8,12,16,40,0.1235,2.0000,1,CPU,cd
"""


def switch(method: str, points: tuple[str, str], /, **changes: Any) -> dict[str, Any]:
    sizes = {"device_switch_bytes": 0, "server_switch_bytes": 0, "device_half_bytes": 0, "server_half_bytes": 40}
    times = {"device_switch_ms_p50": 0.0, "server_switch_ms_p50": 0}
    pairs = [{"from_point": a, "to_point": b, **sizes, **times, **changes} for a, b in (points, points[::-1])]
    keys = {"benchmark": "b", "method": method, "seed": "0", "threads": 1, "cpu": "CPU", "record_id": "cd"}
    return {**keys, "switches": pairs}


def test_switches_are_ordered_by_method_then_as_measured(tmp_path: Path) -> None:
    learned: dict[str, Any] = {"device_switch_bytes": 8, "server_switch_bytes": 12, "device_half_bytes": 16}
    learned |= {"device_switch_ms_p50": 0.12345, "server_switch_ms_p50": 2}
    files = [switch("es", ("0.5", "4"), **learned), switch("webp", ("9", "10"))]
    assert make(tmp_path, SUMMARIES, switches=files)["switch"].read_bytes().decode() == SWITCH
    with pytest.raises(DataError, match=r"switch0\.json: benchmark is 'c', but .*evaluation0\.json has 'b'"):
        make(tmp_path, SUMMARIES, switches=[{**switch("webp", ("9", "10")), "benchmark": "c"}])
    with pytest.raises(DataError, match=r"switch0\.json: key 'method' is 'jpg', which is not among webp, es"):
        make(tmp_path, SUMMARIES, switches=[switch("jpg", ("9", "10"))])


def test_same_measurements_in_another_order_give_the_same_bytes(tmp_path: Path) -> None:
    first = make(tmp_path / "a", SUMMARIES, [latency(), latency(point="9")])
    second = make(tmp_path / "b", SUMMARIES[::-1], [latency(point="9"), latency()])
    assert all(first[name].read_bytes() == second[name].read_bytes() for name in first)


def test_mean_and_spread_over_seeds(tmp_path: Path) -> None:
    runs = [summary("webp", "10"), summary("es", "0.5", "0", payload_bytes_mean=100), summary("es", "0.5", "1")]
    runs[1]["top1_pct"] = 52
    made = make(tmp_path, runs)
    lines = [line.split(",") for line in made["rate_quality_seeds"].read_text().splitlines()]
    webp, student = (dict(zip(lines[0], line, strict=True)) for line in lines[1:])
    assert (webp["method"], webp["curve"], webp["seeds"], webp["top1_pct_seed_mean"]) == ("webp", "", "1", "50.0000")
    # No spread without a second seed, no mean without a value.
    assert {value for name, value in webp.items() if name.endswith("_seed_std")} == {""}
    assert webp["estimated_bits_mean_seed_mean"] == ""
    assert (student["method"], student["curve"], student["seeds"]) == ("es", "big", "2")
    assert (student["top1_pct_seed_mean"], student["top1_pct_seed_std"]) == ("51.0000", "1.4142")
    assert student["payload_bytes_mean_seed_mean"] == "100.250"
    # Half the distance of two values, times the root of two.
    assert student["payload_bytes_mean_seed_std"] == "0.354"
    assert (student["encoder_macs_seed_mean"], student["encoder_macs_seed_std"]) == ("7.000", "0.000")
    assert read_table(made["rate_quality_seeds"])["top1_pct_seed_std"].isna().tolist() == [True, False]


def test_rate_quality_has_no_timings() -> None:
    assert not [column.name for column in rate_quality_columns("classification") if "_ms" in column.name]


def test_read_table_keeps_text_and_numbers_apart(tmp_path: Path) -> None:
    made = make(tmp_path, SUMMARIES, [latency()])
    table = read_table(made["rate_quality"])
    assert table["point"].tolist() == ["9", "10", "0.5", "0.5"]
    assert table["seed"].tolist() == ["0", "0", "0", "10"]
    assert table["record_id"].tolist()[0] == "1234567890123456"
    assert table["trained"].tolist() == [False, False, True, True]
    assert table["encoder_macs"].tolist() == [0, 0, 7, 7]
    assert table["estimated_bits_mean"].isna().tolist() == [True, True, False, False]
    assert read_table(made["teacher"])["record_id"].tolist() == ["0000000000000007"]


def test_no_latency_gives_a_table_with_a_header_only(tmp_path: Path) -> None:
    made = make(tmp_path, SUMMARIES)
    assert made["latency"].read_text() == LATENCY.splitlines(keepends=True)[0]
    assert read_table(made["latency"]).empty


@pytest.mark.parametrize("images", [None, []])
def test_times_without_those_of_each_image_are_to_be_measured_again(tmp_path: Path, images: object) -> None:
    with pytest.raises(DataError, match="key 'images' of a run is missing or empty; measure its latency again"):
        make(tmp_path, SUMMARIES, [latency(images=images)])


def test_runs_of_one_network_share_its_shortest_timing(tmp_path: Path) -> None:
    busy: dict[str, Any] = {
        "server_ms_p50": 4.0,
        "server_ms_low": 3.5,
        "server_ms_high": 6.0,
        "server_batch_ms_p50": 1.7,
    }
    other = latency("es", "0.5", **{**busy, "server_network": "77"})
    found = read_table(make(tmp_path, SUMMARIES, [latency(), latency(point="9", **busy), other])["latency"])
    assert found["server_ms_p50"].tolist() == [3, 3, 4]
    assert found["server_ms_high"].tolist() == [3.1, 3.1, 6]
    assert found["server_batch_ms_p50"].tolist() == [1.5, 1.5, 1.7]
    # What has no network of its own keeps its own times.
    assert found["encoder_network"].tolist() == ["", "", ""]


def test_a_curve_that_was_timed_has_a_volume_with_its_time(tmp_path: Path) -> None:
    """1.2346 ms and 100.5 bytes, at 50 % between chance (a quarter of four images) and the teacher's 75 %."""
    found = read_table(make(tmp_path, [summary("webp", "10"), summary("es", "0.5")], [latency()])["timed_hypervolume"])
    assert found["method"].tolist() == ["webp"]
    expected = (1 - math.log2(100.5) / 20) * (math.log(1000 / 1.2346) / math.log(1e5)) * 0.5
    assert found["hypervolume_ms"][0] == pytest.approx(expected, abs=1e-5)


def test_points_are_ordered_by_value() -> None:
    points = ["100", "1e-5", "9", "10", "0.5", "layer3_q10_s2", "layer3_q9_s2", "layer3_q9_s1", "layer1_q20_s1"]
    ordered = ["1e-5", "0.5", "9", "10", "100", "layer1_q20_s1", "layer3_q9_s1", "layer3_q9_s2", "layer3_q10_s2"]
    assert sorted(points, key=tables.point_key) == ordered


def test_a_repeated_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"summary1\.json: the run b/webp/9/0 is also in .*summary0\.json"):
        make(tmp_path, [summary("webp", "9"), summary("webp", "9")])
    with pytest.raises(DataError, match=r"latency1\.json: the run b/webp/10/0 is also in .*latency0\.json"):
        make(tmp_path, SUMMARIES, [latency(), latency()])


@pytest.mark.parametrize(
    "key",
    [column.name for column in rate_quality_columns("classification") if not column.name.endswith(("_low", "_high"))],
)
def test_a_missing_key_of_a_summary_is_named_with_its_file(tmp_path: Path, key: str) -> None:
    broken = summary("webp", "10")
    del broken[key]
    with pytest.raises(DataError, match=rf"summary1\.json: key '{key}' is missing"):
        make(tmp_path, [summary("webp", "9"), broken])


COMPUTED = by_size([{"session_bytes": 1, **{f"{part}_ms": 1 for parts in SIDES.values() for part in parts}}])


@pytest.mark.parametrize("key", [column.name for column in latency_columns() if column.name not in COMPUTED])
def test_a_missing_key_of_a_latency_is_named_with_its_file(tmp_path: Path, key: str) -> None:
    broken = latency()
    del broken[key]
    with pytest.raises(DataError, match=rf"latency0\.json: key '{key}' is missing"):
        make(tmp_path, SUMMARIES, [broken])


def test_a_missing_key_of_the_teacher_is_named_with_its_file(tmp_path: Path) -> None:
    broken = {key: value for key, value in TEACHER.items() if key != "macs"}
    with pytest.raises(DataError, match=r"evaluation0\.json: key 'macs' is missing"):
        make(tmp_path, SUMMARIES, teachers=[broken])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"benchmark": "other"}, r"summary0\.json: benchmark is 'other', but .* has 'b'"),
        ({"task": "detection"}, r"summary0\.json: task is 'detection'"),
        ({"method": "unknown"}, r"summary0\.json: key 'method' is 'unknown', which is not among webp, es"),
        ({"top1_pct": None}, r"summary0\.json: key 'top1_pct' is None, but must be a finite number"),
        ({"top1_pct": float("nan")}, r"summary0\.json: key 'top1_pct' is nan, but must be a finite number"),
        ({"images": 3.5}, r"summary0\.json: key 'images' is 3.5, but must be a whole number"),
        ({"images": True}, r"summary0\.json: key 'images' is True, but must be a whole number"),
        ({"trained": 1}, r"summary0\.json: key 'trained' is 1, but must be true or false"),
        ({"record_id": ""}, r"summary0\.json: key 'record_id' is '', but must be a non-empty string"),
    ],
)
def test_wrong_values_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make(tmp_path, [summary("webp", "9", **changes)])
    assert not (tmp_path / "rate_quality.csv").exists()


def test_other_inputs_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no summary"):
        make(tmp_path, [])
    with pytest.raises(DataError, match="the run b/es/7/0 has a latency but no summary"):
        make(tmp_path, SUMMARIES, [latency("es", "7")])
    with pytest.raises(DataError, match="no teacher"):
        make(tmp_path, SUMMARIES, teachers=[])
    with pytest.raises(DataError, match="two evaluations of the teacher are of one seed"):
        make(tmp_path, SUMMARIES, teachers=[TEACHER, TEACHER])
    with pytest.raises(DataError, match=r"evaluation1\.json: benchmark is 'c'"):
        make(tmp_path, SUMMARIES, teachers=[TEACHER, {**TEACHER, "seed": "1", "benchmark": "c"}])
    with pytest.raises(DataError, match="task 'x' has no quality columns; known tasks: classification"):
        make(tmp_path, SUMMARIES, teachers=[{**TEACHER, "task": "x"}])


@pytest.mark.parametrize(("content", "message"), [("{", "not a readable JSON"), ("[]", "must hold an object")])
def test_damaged_files_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(content)
    inputs: dict[str, Path | list[Path]] = {"summaries": [], "latencies": [], "teachers": [path]}
    with pytest.raises(DataError, match=rf"evaluation\.json: .*{message}"):
        tables.run(RunningJob("make_tables", {}, {"methods": []}, inputs, {}, "00"))


def test_unreadable_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "words.csv").write_text("images\nmany\n")
    for name in ("empty.csv", "words.csv", "absent.csv"):
        with pytest.raises(DataError, match=f"{name}: not a readable table"):
            read_table(tmp_path / name)


def test_rounding_never_gives_a_negative_zero() -> None:
    assert Column("x", "float", 2).format(-0.001) == "0.00"
