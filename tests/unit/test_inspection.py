"""`sc2 methods` and `sc2 inspect`: what they say, without data and weights, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import pytest

from sc2.cli import main
from sc2.commands.aligned import aligned
from sc2.methods import get_method, method_names
from sc2.tasks import task_names

BENCHMARK = "photodigits_small_resnet"
PAPERS = "ilsvrc2012_resnet50"


@pytest.fixture(autouse=True)
def in_the_project(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the configuration and without results."""
    (tmp_path / "config").symlink_to(root / "config")
    monkeypatch.chdir(tmp_path)


def inspect(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    """Run `sc2 inspect` and return what it prints, on stderr if it fails."""
    assert main(["inspect", *arguments]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def inspect_json(capsys: pytest.CaptureFixture[str], method: str, point: str, benchmark: str = BENCHMARK) -> Any:
    return json.loads(inspect(capsys, method, "--benchmark", benchmark, "--point", point, "--json"))


# sc2 methods


def test_every_method_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["method", "title", "rate", "axis", "training", *task_names()]
    assert [line.split()[0] for line in lines] == method_names()
    [student] = [line for line in lines if line.startswith("entropic_student ")]
    assert "Entropic Student (FP)" in student
    assert "distill, finetune" in student
    assert student.endswith("supported")


def test_methods_as_json_with_a_declared_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(get_method("webp")), "unsupported", lambda self, task: f"not for {task}")
    assert main(["methods", "--json"]) == 0
    found = {method["method"]: method for method in json.loads(capsys.readouterr().out)}
    assert list(found) == method_names()
    assert found["jpeg"]["unsupported"] == dict.fromkeys(task_names())
    assert found["webp"]["unsupported"] == {task: f"not for {task}" for task in task_names()}
    assert found["local_model"]["unsupported"]["detection"].startswith("it sends class indices")
    assert found["jpeg"]["rate_axis"] == {"name": "quality", "low": 1, "high": 100, "integer": True}
    assert found["fine_tuned_split"]["rate_axis"] == {"name": "cut_beta", "pattern": "<cut>_<beta>"}
    assert found["jpeg"]["phases"] == []
    assert main(["methods"]) == 0
    assert "no: not for classification" in capsys.readouterr().out


def test_titles_are_looked_up_beside_the_run_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    (other / "methods").mkdir(parents=True)
    (other / "methods/jpeg.yaml").write_text("title: The old one\n")
    assert main(["methods", "--config", str(other / "run.yaml")]) == 0
    assert "The old one" in capsys.readouterr().out
    (other / "methods/jpeg.yaml").write_text("tittle: x\n")
    assert main(["methods", "--config", str(other / "run.yaml")]) == 2
    assert "jpeg.yaml: tittle" in capsys.readouterr().err


# sc2 inspect


def test_the_papers_split_needs_no_data_and_no_weights(capsys: pytest.CaptureFixture[str]) -> None:
    """The benchmark is not in the run file either; the numbers are those of docs/papers.md#conformance."""
    shown = inspect(capsys, "entropic_student", "--benchmark", PAPERS, "--point", "0.16")
    lines = {line.split("  ")[0]: line.split() for line in shown.splitlines() if line}
    whole, device, prior = 26_635_856, 138_672, 1_464
    assert lines["parameters"][1:] == [f"{device:,}", f"{whole - device - prior:,}", "25,557,032"]
    encoder, _, reference = (int(word.replace(",", "")) for word in lines["MACs per image"][3:])
    assert encoder == pytest.approx(588e6, rel=0.01)
    assert reference == pytest.approx(4_089e6, rel=0.01)
    assert lines["parameters, bytes"][2] == f"{4 * device:,}"
    assert "latent shape: 24 × 55 × 55" in shown
    assert shown.startswith("Entropic Student (FP) on ImageNet, ResNet-50\nbeta 0.16 (in the benchmark's grid)")
    assert "not evaluated yet" in shown


def test_what_is_counted_is_what_export_counts(capsys: pytest.CaptureFixture[str]) -> None:
    found = inspect_json(capsys, "entropic_student", "4")
    costs = found["costs"]
    assert set(found) >= {"benchmark", "method", "point", "in_grid", "costs", "teacher", "evaluations"}
    assert (found["rate_axis"], found["in_grid"], found["evaluations"]) == ("beta", True, [])
    assert costs["latent_shape"] == [8, 15, 15]
    assert costs["encoder_param_bytes"] == 4 * costs["encoder_params"]
    assert costs["encoder_table_bytes"] > 0
    # conv 5×5 3→24, GDN 24, conv 5×5 24→16, GDN 16, conv 2×2 16→8
    assert costs["encoder_params"] == 75 * 24 + 24 * 25 + 25 * 24 * 16 + 16 * 17 + 4 * 16 * 8


def test_a_codec_ships_nothing_and_the_server_runs_the_teacher(capsys: pytest.CaptureFixture[str]) -> None:
    found = inspect_json(capsys, "jpeg", "33")
    costs, whole = found["costs"], found["teacher"]
    assert not found["in_grid"]
    assert [costs[f"encoder_{part}"] for part in ("params", "param_bytes", "table_bytes", "macs")] == [0, 0, 0, 0]
    assert (costs["server_params"], costs["server_macs"]) == (whole["params"], whole["macs"])
    assert costs["latent_shape"] == [3, 64, 64]


def test_what_was_evaluated_is_shown(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pattern = "results/evaluate/{benchmark}/{method}/{point}/seed{seed}/summary.json"
    assert f'summary="{pattern}"' in (root / "workflow/rules/methods.smk").read_text(encoding="utf-8")
    measured = {"images": 1000, "payload_bytes_mean": 123.456, "top1_pct": 87.5, "top5_pct": 99.25}
    for seed in ("0", "1"):
        path = tmp_path / pattern.format(benchmark=BENCHMARK, method="jpeg", point="10", seed=seed)
        path.parent.mkdir(parents=True)
        record = {"seed": seed, "record_id": f"{seed}123456789abcdef", "encoder_table_bytes": 0, "server_macs": 1}
        path.write_text(json.dumps({**measured, **record}))
    found = inspect_json(capsys, "jpeg", "10")["evaluations"]
    assert [row["seed"] for row in found] == ["0", "1"]
    assert found[0]["payload_bytes_mean"] == 123.456
    assert "server_macs" not in found[0]
    shown = inspect(capsys, "jpeg", "--benchmark", BENCHMARK, "--point", "10")
    assert "not evaluated" not in shown
    assert shown.splitlines()[-1].split() == ["1", "1123456789abcdef", "1,000", "123.5", "87.50", "99.25", "0"]
    path.write_text("{}")
    broken = inspect(capsys, "jpeg", "--benchmark", BENCHMARK, "--point", "10", status=2)
    assert f"results/evaluate/{BENCHMARK}/jpeg/10/seed1/summary.json is damaged" in broken
    assert "not evaluated" in inspect(capsys, "jpeg", "--benchmark", BENCHMARK, "--point", "10", "--results", "other")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["jpgg", "--benchmark", BENCHMARK, "--point", "10"], "no method 'jpgg'; there are: "),
        (["jpeg", "--benchmark", "photodigit", "--point", "10"], "there is no file config/benchmarks/photodigit.yaml"),
        (
            ["jpeg", "--benchmark", BENCHMARK, "--point", "0"],
            "--point 0: quality must lie between 1 and 100; the bench",
        ),
        (["jpeg", "--benchmark", BENCHMARK, "--point", "0.5"], "quality must be a whole number"),
        (["jpeg", "--benchmark", BENCHMARK, "--point", "high"], "quality must be a plain number"),
        (
            ["jpeg", "--benchmark", BENCHMARK, "--point", "1", "--config", "no/c.yaml"],
            "there is no file no/benchmarks/",
        ),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in inspect(capsys, *arguments, status=2)


def test_an_unsupported_method_is_refused_with_its_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(get_method("jpeg")), "unsupported", lambda self, task: "no colours")
    shown = inspect(capsys, "jpeg", "--benchmark", BENCHMARK, "--point", "10", status=2)
    assert f"jpeg does not support the task classification of {BENCHMARK}: no colours" in shown


def test_a_method_without_a_grid_and_a_data_set_without_a_number_of_classes_are_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    for name in ("benchmarks", "datasets"):
        (mine / name).mkdir(parents=True)
    (mine / "methods").symlink_to(root / "config/methods")
    text = (root / f"config/paper/{PAPERS}.yaml").read_text(encoding="utf-8")
    (mine / "benchmarks/b.yaml").write_text(text.partition("  bpg:")[0])
    dataset = (root / "config/datasets/ilsvrc2012.yaml").read_text(encoding="utf-8")
    (mine / "datasets/ilsvrc2012.yaml").write_text(dataset.replace("num_classes: 1000\n", ""))
    where = ["--benchmark", "b", "--point", "10", "--config", str(mine / "c.yaml")]
    shown = inspect(capsys, "entropic_student", *where, status=2)
    assert "entropic_student has no grid on b: add it under the key methods of benchmarks/b.yaml" in shown
    assert "methods with a grid: jpeg, webp" in shown
    assert "add num_classes to datasets/ilsvrc2012.yaml" in inspect(capsys, "jpeg", *where, status=2)


def test_columns_are_aligned() -> None:
    assert aligned([["", "b"], ["long", "10"]], numbers_from=1) == "       b\nlong  10"
    assert aligned([["a", "b"], ["long", ""]]) == "a     b\nlong"
