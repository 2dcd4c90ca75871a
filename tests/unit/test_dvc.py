"""`dvc.yaml` is what `sc2 dvc` makes of the run file, and names what a run reads and makes."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from sc2.commands.dvc import dvc_text, outputs
from sc2.commands.shared import lock_of
from sc2.config.load import load_config
from sc2.provenance.record import read_record
from sc2.sharing.lock import read_lock

ROOT = Path(__file__).parents[2]
QUICK = Path("config/quick.yaml")


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def made(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(dvc_text(load_config(run)))
    return content


def names(entries: list[Any]) -> list[str]:
    """The paths of a list whose entries are paths, or mappings from one path."""
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_the_committed_file_is_that_of_the_run_file() -> None:
    text = dvc_text(load_config(Path("config/config.yaml")))
    assert (ROOT / "dvc.yaml").read_text(encoding="utf-8") == text, "run `python -m sc2 dvc`"


@pytest.mark.parametrize("run", [Path("config/config.yaml"), QUICK, Path("config/coco.yaml")], ids=str)
def test_a_stage_reads_what_another_makes_and_every_file_it_names_exists(run: Path) -> None:
    content = made(run)
    stages = content["stages"]
    outs = [out for stage in stages.values() for out in names(stage["outs"])]
    assert len(set(outs)) == len(outs)
    assert all(out[name]["persist"] is True for stage in stages.values() for out in stage["outs"] for name in out)
    read = {dep for stage in stages.values() for dep in stage["deps"] if dep.startswith("results/")}
    shown = [*content["metrics"], *(plot for plot in content["plots"] if isinstance(plot, str))]
    assert read <= set(outs)
    assert all(any(path.startswith(f"{out}/") for out in outs) for path in shown)
    files = [path for stage in stages.values() for path in [*names(stage["params"]), *stage["deps"]]]
    assert not [path for path in files if not path.startswith("results/") and not (ROOT / path).exists()]


@pytest.mark.parametrize("name", ["config", "full", "ablation", "imagenette", "imagenette_sample", "voc_sample"])
def test_a_run_file_shares_every_folder_of_its_benchmarks_and_groups(name: str) -> None:
    run = load_config(Path(f"config/{name}.yaml"))
    folders = set(outputs(run))
    for benchmark in run.benchmarks:
        kinds = {folder.split("/")[1] for folder in folders if folder.endswith(f"/{benchmark}")}
        assert {"teachers", "export", "evaluate", "latency", "tables", "figures"} <= kinds
    assert {f"results/data/{dataset}" for dataset in run.datasets} <= folders
    assert {f"results/groups/{group}" for group in run.run.groups} <= folders


def test_each_run_file_has_a_lock_of_its_own() -> None:
    runs = sorted((ROOT / "config").glob("*.yaml"))
    locks = {lock_of(run.relative_to(ROOT)) for run in runs}
    assert len(locks) == len(runs) > 1
    assert {Path("dvc.lock"), Path("config/full.lock")} <= locks


def test_the_results_of_every_snapshot_are_shared() -> None:
    """The lock of the run file that a snapshot was made of is committed, and names the folders that it makes now."""
    made_of: dict[str, set[str]] = {}
    for path in (ROOT / "docs" / "reference").glob("*/snapshot.prov.json"):
        record = read_record(path)
        if "benchmark" in record.keys:
            made_of.setdefault(record.spec["config"], set()).add(record.keys["benchmark"])
    assert made_of["full.yaml"] == {f"photodigits_{name}" for name in ("small_resnet", "detection", "segmentation")}
    # The default has the first seed of each method of `make full`.
    made_of["config.yaml"] = made_of["full.yaml"]
    for name, benchmarks in made_of.items():
        run = load_config(Path("config") / name)
        assert benchmarks <= set(run.benchmarks)
        assert {folder.path for folder in read_lock(lock_of(run.path))} == set(outputs(run)), f"`make push` with {name}"


def test_what_a_benchmark_extends_is_among_its_params() -> None:
    params = names(made(QUICK)["stages"]["train"]["params"])
    own, base = (f"config/benchmarks/photodigits_{name}.yaml" for name in ("quick_small_resnet", "small_resnet"))
    assert params.index(base) < params.index(own)


def test_what_a_run_file_extends_is_among_its_params() -> None:
    params = names(made(Path("config/full.yaml"))["stages"]["data"]["params"])
    assert params[:2] == ["config/config.yaml", "config/full.yaml"]


def test_another_run_file_is_given_to_snakemake() -> None:
    assert made(QUICK)["stages"]["train"]["cmd"] == f"snakemake --cores all models --configfile {QUICK}"
    assert made(Path("config/config.yaml"))["stages"]["train"]["cmd"] == "snakemake --cores all models"


def test_codecs_alone_have_no_trainings_and_no_group_no_overview(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "config", tmp_path / "config")
    run = tmp_path / "config" / "codecs.yaml"
    run.write_text("benchmarks:\n  codecs: [jpeg]\nfigures: [exrd]\n", encoding="utf-8")
    benchmark = "extends: photodigits_small_resnet\nexamples: {methods: []}\n"
    (run.parent / "benchmarks" / "codecs.yaml").write_text(benchmark, encoding="utf-8")
    content = made(run)
    outs = [out for stage in content["stages"].values() for out in names(stage["outs"])]
    assert not [out for out in outs if out.startswith(("results/train/", "results/groups/", "results/examples/"))]
    drawn = ["results/figures/codecs/exrd.svg", "results/channels/codecs/latency.svg"]
    assert content["plots"][1:] == drawn
