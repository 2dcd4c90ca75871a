"""The snapshot shows what the tables and records say, and refuses what does not belong together."""

import shutil
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from sc2.errors import DataError, ProvenanceError
from sc2.job import RunningJob
from sc2.provenance.record import OutputFile, Record, sha256_file
from sc2.report import snapshot, style
from sc2.report.markdown import duration, in_a_sentence, number, table

FIGURE_RECORD = "f" * 16
RATE_QUALITY = """\
benchmark,task,method,method_title,trained,rate_axis,curve,point,seed,top1_pct,payload_bytes_mean,codec_header_bytes_mean,\
sc2bench_encoder_kb,encoder_params,encoder_macs,top1_pct_low,top1_pct_high,payload_bytes_mean_low,payload_bytes_mean_high
b,classification,jpeg,JPEG,false,quality,,10,0,50.0000,1234.500,620.000,0.000,0,0,46.9,53.1,1200,1270
b,classification,jpeg,JPEG,false,quality,,20,0,51.0000,1334.500,620.000,0.000,0,0,47.9,54.1,1300,1370
b,classification,es,Entropic Student (FP),true,beta,,0.5,0,70.0000,100.000,,24.700,6000,5120000,67,73,98,102
b,classification,es,Entropic Student (FP),true,beta,,0.5,1,72.0000,104.000,,24.700,6000,5120000,69,75,102,106
"""
LATENCY = """\
benchmark,method,point,seed,encoder_ms_p50,coder_encode_ms_p50,coder_decode_ms_p50,server_ms_p50,server_batch_ms_p50,server_batch,threads,cpu,\
encoder_ms_low,encoder_ms_high,coder_encode_ms_low,coder_encode_ms_high,coder_decode_ms_low,coder_decode_ms_high,\
server_ms_low,server_ms_high,server_batch_ms_low,server_batch_ms_high,loaded
b,es,0.5,0,1.5000,0.2500,0.1250,3.0000,1.5000,16,1,Some CPU,1.4,1.6,0.2,0.3,0.1,0.2,2.9,3.1,,,false
"""
TEACHER = """\
benchmark,task,teacher,seed,images,top1_pct,params,macs
b,classification,resnet_small,0,1000,88.4000,1234567,89000000
"""


COMPARISON = """\
anchor,method,method_title,curve,seeds,bd_rate_pct,bd_rate_pct_low,bd_rate_pct_high,\
bd_quality_points,bd_quality_points_low,bd_quality_points_high,hypervolume
jpeg,jpeg,JPEG,,1,0.000,0,0,0.0000,0,0,0.123456
jpeg,es,Entropic Student (FP),layer1,2,-91.234,-95,-80,7.1234,-1,9,0.654321
jpeg,local,Local model,,1,,,,,,,0.400000
es,jpeg,JPEG,,1,300.000,200,400,-5.0000,-9,-1,0.123456
es,es,Entropic Student (FP),layer1,2,0.000,0,0,0.0000,0,0,0.654321
es,local,Local model,,1,,,,,,,0.400000
"""
TIMED_HYPERVOLUME = """\
method,curve,hypervolume_ms
jpeg,,0.234567
"""
EQUAL_QUALITY = """\
max_loss_points,method,method_title,curve,bytes_at_quality,bytes_at_quality_low,bytes_at_quality_high,at_most,point,\
sc2bench_encoder_kb,encoder_macs_pct
1.0,webp,WebP,,3000,2900,3100,false,95,0.000,0.000
2.0,webp,WebP,,2000,1900,2100,false,90,0.000,0.000
2.0,unit,Unit,,,,,false,,,
2.0,local_model,Local,,1,1,1,false,8,300.000,10.000
2.0,jpeg,JPEG,,,,,false,,,
10.0,webp,WebP,,900,800,,false,90,0.000,0.000
10.0,unit,Unit,layer2,12.34,11,13,true,q1,30.000,10.000
10.0,local_model,Local,,1,1,1,false,8,300.000,10.000
10.0,jpeg,JPEG,,,,,false,,,
"""
BYTE_RATIOS = """\
max_loss_points,method,other_method,told_apart
2.0,webp,local_model,true
10.0,webp,unit,false
10.0,unit,local_model,false
"""
PAIRED = """\
method,curve,point,other_method,other_point,told_apart
jpeg,,10,jpeg,20,false
jpeg,,10,es,0.5,true
"""
REPRODUCTION = """\
work,curve,point,quantity,unit,published,tolerance,ours,difference,verdict
WebP,,10,sc2bench_kb,KB,2.39,0.0478,2.4,0.01,within tolerance
WebP,,20,top1_pct,%,63.2,0.1,,,not run
"""
ORDERINGS = """\
claim,source,verdict,difference,difference_low,difference_high,p,reason
WebP needs fewer bytes than JPEG,webp,holds,-60,-70,-50,0.0066,
A encodes less,macs,cannot be told,,,,,no common interval
"""


def write_record(path: Path, record: str, stage: str, start: str, end: str, **changes: Any) -> Path:
    content: dict[str, Any] = {
        **{"format": 1, "id": record, "stage": stage, "keys": {"benchmark": "b"}, "spec": {}, "job_id": "j"},
        **{"code": {"digest": "d", "files": {}}, "inputs": {}, "outputs": {}, "seed": None, "command": ["sc2"]},
        "git": {"commit": "c0ffee" + "0" * 34, "dirty": False, "dirty_sha256": None},
        "versions": {"python": "3.11.9", "torch": "2.9.0", "timm": None},
        "hardware": {"cpu": "Some CPU", "cores": 2, "memory_gib": 7.8, "gpus": []},
        **{"platform": {"system": "Linux"}, "parents": [], "seal": "s", "seconds": 60.0},
        **{"started": f"2026-01-02T03:{start}+00:00", "finished": f"2026-01-02T03:{end}+00:00"},
    }
    path.write_text(Record.model_validate({**content, **changes}).model_dump_json(), encoding="utf-8")
    return path


@pytest.fixture
def job(tmp_path: Path) -> RunningJob:
    """A benchmark with its tables, a figure, a picture, and two records."""
    tables = {"rate_quality": RATE_QUALITY, "latency": LATENCY, "teacher": TEACHER, "comparison": COMPARISON}
    tables |= {"timed_hypervolume": TIMED_HYPERVOLUME}
    tables |= {"equal_quality": EQUAL_QUALITY, "byte_ratios": BYTE_RATIOS, "paired": PAIRED, "orderings": ORDERINGS}
    tables |= {"reproduction": REPRODUCTION}
    for name, content in tables.items():
        (tmp_path / f"{name}.csv").write_text(content)
    figures = [tmp_path / "rate_accuracy.svg", tmp_path / "jpeg.webp"]
    style.save(Figure(), figures[0], tmp_path / "rate_accuracy.png", "A title")
    style.save_picture(Figure(), figures[1])
    made = {path.suffix: OutputFile(path=path.name, sha256=sha256_file(path), bytes=1) for path in figures}
    records = [
        write_record(
            tmp_path / "figure.prov.json", FIGURE_RECORD, "plot_figure", "10:00", "10:30", seconds=30.04, outputs=made
        ),
        write_record(tmp_path / "train.prov.json", "a" * 16, "train", "00:00", "09:00", seconds=3600.0),
    ]
    inputs = {"tables": [tmp_path / f"{name}.csv" for name in tables], "figures": figures, "records": records}
    readme = tmp_path / "docs" / "reference" / "b" / "README.md"
    readme.parent.mkdir(parents=True)
    methods = [
        *({"name": name, "family": "codec", "symbol": "q="} for name in ("jpeg", "webp")),
        {"name": "es", "family": "student", "symbol": "β="},
        {"name": "local_model", "family": "corner", "symbol": "width "},
    ]
    spec = {"title": "Digits on photographs", "config": "config.yaml", "methods": methods}
    return RunningJob("snapshot", {"benchmark": "b"}, spec, inputs, {"readme": readme}, "0" * 16)


def text_of(job: RunningJob) -> str:
    snapshot.run(job)
    return job.outputs["readme"].read_text(encoding="utf-8")


def test_it_shows_title_command_teacher_and_figures_inline(job: RunningJob) -> None:
    text = text_of(job)
    assert text.startswith("<!-- Written by `snakemake snapshots`: do not edit. -->\n\n# Digits on photographs\n")
    assert "`snakemake --cores all --configfile config/config.yaml`" in text
    assert (
        "Teacher `resnet_small`: top-1 accuracy 88.40 % on 1,000 test images, 1,234,567 parameters, 89,000,000 MACs."
    ) in text
    assert text.count("![") == 2
    assert "![Jpeg](jpeg.webp)" in text
    assert "![Rate accuracy](rate_accuracy.svg)" in text


def test_it_shows_one_row_per_method_and_point_with_interval_and_spread_over_seeds(job: RunningJob) -> None:
    text = text_of(job)
    jpeg = "| JPEG | q=10 | 50.00 (46.9 … 53.1) | 1,234.5 (1,200.0 … 1,270.0) | 620.0 | 0.0 | 0 | 0 |\n"
    assert jpeg in text
    # 71 ± 1.96 · √2 / √2 from the seeds, and 3 from the images.
    student = "| Entropic Student (FP) | β=0.5 | 71.00 ± 1.41 (67.4 … 74.6) | 102.0 ± 2.8 (97.6 … 106.4) | – |"
    assert student in text
    assert "several of the 2 seeds of a method's own training (the teacher is the same), with" in text


def test_it_says_that_the_teacher_varies_with_the_seed(job: RunningJob, tmp_path: Path) -> None:
    (tmp_path / "teacher.csv").write_text(TEACHER + "b,classification,resnet_small,1,1000,90.4000,1234567,89000000\n")
    text = text_of(job)
    teacher = "Teacher `resnet_small`: top-1 accuracy 89.40 ± 1.41 % (mean ± standard deviation over 2 seeds) on 1,000"
    assert teacher in text
    assert "of the 2 seeds of teacher and method (a method without training has the first seed's teacher), with" in text
    assert "intervals over images and seeds of teacher and method." in text
    assert "the teacher is the same" not in text


def test_a_point_that_cannot_be_told_from_its_neighbour_is_marked(job: RunningJob, tmp_path: Path) -> None:
    assert "| JPEG | q=20 | ≈ 51.00 (" in text_of(job)
    (tmp_path / "paired.csv").write_text(PAIRED.replace("false", "true"))
    assert "| JPEG | q=20 | 51.00 (" in text_of(job)


def test_it_shows_bytes_and_encoder_at_equal_quality(job: RunningJob) -> None:
    text = text_of(job)
    assert "| method | ≥ 86.4 % | ≥ 78.4 % | encoder: KB, MACs in % of the teacher's |\n" in text
    assert "| WebP | **2,000 B** (1,900 … 2,100) | ≈ 900 B (800 … –) | 0.0, 0.0 % |\n" in text
    assert "| Unit | – | **≤ 12.3 B** (11.0 … 13.0) | 30.0, 10.0 % |\n" in text
    # A corner answers on the device: few bytes are no feat there.
    assert "| Local | 1.0 B (1.0 … 1.0) | 1.0 B (1.0 … 1.0) | 300.0, 10.0 % |\n" in text
    assert "| JPEG | – | – | – |\n" in text


@pytest.mark.parametrize(("teacher", "levels"), [("7.5", "| method | ≥ 5.5 % | encoder"), ("0.3", None)])
def test_no_quality_below_zero_is_asked_for(job: RunningJob, tmp_path: Path, teacher: str, levels: str | None) -> None:
    (tmp_path / "teacher.csv").write_text(TEACHER.replace("88.4000", teacher))
    text = text_of(job)
    assert ("## At equal quality" in text) == (levels is not None)
    assert levels is None or levels in text


def test_it_shows_the_comparison_with_intervals(job: RunningJob) -> None:
    text = text_of(job)
    assert "Bjøntegaard differences from JPEG and Entropic Student (FP) with 95 % intervals" in text
    zero = ("0.0 (0.0 … 0.0)", "0.00 (0.00 … 0.00)")
    for cells in (
        ("JPEG", zero[0], "300.0 (200.0 … 400.0)", zero[1], "-5.00 (-9.00 … -1.00)", "0.1235", "0.2346"),
        (
            "Entropic Student (FP), layer1",
            "-91.2 (-95.0 … -80.0)",
            zero[0],
            "≈ 7.12 (-1.00 … 9.00)",
            zero[1],
            "0.6543",
            "–",
        ),
        ("Local model", *"––––", "0.4000", "–"),
    ):
        assert f"| {' | '.join(cells)} |\n" in text
    assert "[comparison.csv](comparison.csv)" in text


def test_it_shows_which_published_orderings_hold(job: RunningJob, tmp_path: Path) -> None:
    claim = (
        "| [WebP needs fewer bytes than JPEG](../../papers.md#webp) | **holds** | -60.0 (-70.0 … -50.0) | 0.007 |  |\n"
    )
    text = text_of(job)
    assert claim in text
    other = "| [A encodes less](../../papers.md#macs) | **cannot be told** | – (– … –) | – | no common interval |\n"
    assert other in text
    (tmp_path / "orderings.csv").write_text(ORDERINGS.splitlines()[0] + "\n")
    assert "## Published orderings" not in text_of(job)


def test_it_shows_latency_and_says_when_there_is_none(job: RunningJob, tmp_path: Path) -> None:
    text = text_of(job)
    assert "Median per image on Some CPU, 1 thread(s)." in text
    times = "1.500 (1.400 … 1.600) | 0.250 (0.200 … 0.300) | 0.125 (0.100 … 0.200) | 3.000 (2.900 … 3.100)"
    assert f"| Entropic Student (FP) | β=0.5 | 0 | {times} | 1.500 (– … –) |\n" in text
    assert "busy" not in text
    (tmp_path / "latency.csv").write_text(LATENCY.replace("false", "true"))
    assert "**The machine was busy while these were timed: es.**" in text_of(job)
    (tmp_path / "latency.csv").write_text(LATENCY.splitlines()[0] + "\n")
    assert "## Latency\n\nNot measured.\n" in text_of(job)


def test_it_shows_latency_over_channels_where_it_was_modelled(job: RunningJob, tmp_path: Path) -> None:
    assert "over channels" not in text_of(job)
    figure, rates = tmp_path / "latency.svg", tmp_path / "break_even.csv"
    shutil.copy(tmp_path / "rate_accuracy.svg", figure)
    rates.write_text("method,other_method,break_even_kbit_s\n")
    inputs = {"tables": [*job.input_list("tables"), rates], "figures": [*job.input_list("figures"), figure]}
    text = text_of(replace(job, inputs={**job.inputs, **inputs}))
    _, above, section = text.partition("## Latency over channels\n\nMean time from an image to its answer")
    assert above
    assert "within 5 points of the teacher" in section
    assert "[break_even.csv](break_even.csv)" in section
    assert text.count("![Latency](latency.svg)") == section.count("![Latency](latency.svg)\n\n## Made on") == 1
    assert {"latency.svg", "latency.csv", "break_even.csv"} <= {
        path.name for path in job.outputs["readme"].parent.iterdir()
    }


def test_it_shows_hardware_versions_time_commit_and_records(job: RunningJob) -> None:
    text = text_of(job)
    assert "- Hardware: Some CPU, 2 cores, 7.8 GiB memory, no GPU\n" in text
    assert "- Commit: `c0ffee000000`\n" in text
    assert (
        "- Time: 1 h 00 min 30 s of computation in 2 jobs; 10 min 30 s from the first start to the last end\n" in text
    )
    assert "| torch | 2.9.0 |\n" in text
    assert "timm" not in text
    train, figure = f"| train | b | 3600.0 | `{'a' * 16}` |\n", f"| plot_figure | b | 30.0 | `{FIGURE_RECORD}` |\n"
    assert text.index(train) < text.index(figure)


def test_jobs_on_different_machines_are_told_apart(job: RunningJob, tmp_path: Path) -> None:
    write_record(
        tmp_path / "train.prov.json", "a" * 16, "train", "00:00", "09:00",
        hardware={"cpu": "Other CPU", "cores": 16, "memory_gib": 128.0, "gpus": ["A GPU"]},
        versions={"torch": "2.8.0"}, git={"commit": None, "dirty": None, "dirty_sha256": None},
    )  # fmt: skip
    text = text_of(job)
    assert "- Hardware of 1 of 2 jobs: Other CPU, 16 cores, 128.0 GiB memory, A GPU\n" in text
    assert "- Commit of 1 of 2 jobs: not in a git checkout\n" in text
    assert "| torch | 2.8.0, 2.9.0 |\n" in text


def test_it_copies_tables_and_figures_and_removes_what_an_older_snapshot_left(job: RunningJob) -> None:
    folder = job.outputs["readme"].parent
    (folder / "old_figure.svg").write_text("<svg/>")
    (folder / "old_figure.png").write_bytes(b"PNG")
    (folder / "snapshot.prov.json").write_text("{}")
    text_of(job)
    copied = {path.name: path for path in [*job.input_list("tables"), *job.input_list("figures")]}
    assert {path.name for path in folder.iterdir()} == {*copied, "README.md", "snapshot.prov.json"}
    assert all((folder / name).read_bytes() == path.read_bytes() for name, path in copied.items())


def test_the_same_inputs_give_the_same_bytes_without_a_path_of_the_machine(job: RunningJob, tmp_path: Path) -> None:
    first = text_of(job)
    shutil.rmtree(job.outputs["readme"].parent)
    job.outputs["readme"].parent.mkdir()
    assert text_of(job) == first
    assert str(tmp_path) not in first


def test_a_record_given_twice_counts_once(job: RunningJob) -> None:
    once = text_of(job)
    job.input_list("records").append(job.input_list("records")[0])
    assert text_of(job) == once


def test_what_does_not_belong_together_is_refused(job: RunningJob, tmp_path: Path) -> None:
    records, tables = job.input_list("records"), job.input_list("tables")
    figure = records.pop(0)
    with pytest.raises(ProvenanceError, match=r"rate_accuracy\.svg: no record of the snapshot has a file of this"):
        snapshot.run(job)
    train = records.pop()
    with pytest.raises(ProvenanceError, match="needs the records"):
        snapshot.run(job)
    records += [figure, train]
    tables.append(shutil.copyfile(tables[0], tmp_path / "docs" / "rate_quality.csv"))
    with pytest.raises(DataError, match="same name"):
        snapshot.run(job)
    del tables[1:]
    with pytest.raises(DataError, match=r"lack latency\.csv"):
        snapshot.run(job)


def test_large_files_and_other_kinds_of_files_are_refused(job: RunningJob, tmp_path: Path) -> None:
    (tmp_path / "large.csv").write_bytes(b"1" * (snapshot.MAX_BYTES + 1))
    with pytest.raises(DataError, match=r"large\.csv: larger than the 400,000 bytes"):
        snapshot.copy_to(job, [tmp_path / "large.csv"], job.outputs["readme"].parent)
    with pytest.raises(DataError, match=r"rate_accuracy\.png: a snapshot holds \.csv, \.svg, \.webp, no other"):
        snapshot.copy_to(job, [tmp_path / "rate_accuracy.png"], job.outputs["readme"].parent)


def test_the_committed_snapshots_are_small() -> None:
    files = [path for path in Path("docs/reference").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {*snapshot.COPIED, ".md", ".json"}
    assert not [path for path in files if path.stat().st_size > snapshot.MAX_BYTES]
    # git stores files compressed: this is what a refresh of all of them adds to the repository.
    assert sum(len(zlib.compress(path.read_bytes())) for path in files) < 2_750_000


def test_no_committed_figure_shows_uncommitted_work() -> None:
    figures = list((Path(__file__).parents[2] / "docs" / "reference").rglob("*.svg"))
    assert len(figures) > 20
    assert not [path for path in figures if style.UNCOMMITTED in path.read_text(encoding="utf-8")]


def test_markdown_numbers_and_tables() -> None:
    assert [duration(seconds) for seconds in (0.4, 61, 3723)] == ["0 s", "1 min 01 s", "1 h 02 min 03 s"]
    assert [number(1234.56, 1), number(float("nan")), number(0)] == ["1,234.6", "–", "0"]
    assert table(("a", "b"), [("x|y", "1")], numbers_from=1) == "| a | b |\n| --- | ---: |\n| x\\|y | 1 |\n"


def test_labels_in_a_sentence_keep_their_abbreviations() -> None:
    labels = ("Top-1 accuracy (%)", "Box AP (%)", "Mean IoU (%)")
    assert [in_a_sentence(label) for label in labels] == ["top-1 accuracy", "box AP", "mean IoU"]
