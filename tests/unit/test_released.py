"""Published weights in the place of a training: read, planned, converted, recorded."""

import hashlib
import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sc2.checkpoint import load_phase, save_atomically
from sc2.cli import main
from sc2.commands.import_released import import_released
from sc2.commands.untrained import class_count, untrained_context
from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.errors import CheckpointError, ConfigError, DataError
from sc2.jobs.identity import job
from sc2.jobs.order import Order
from sc2.jobs.plan import Run, exported, trainings
from sc2.jobs.run import run_stage
from sc2.methods import get_method
from sc2.methods.student.network import StudentNetwork
from sc2.provenance.record import read_record
from sc2.provenance.trace import format_trace, trace
from sc2.released import learned_codec, reduction
from sc2.released.file import current_names, read_released
from sc2.released.parts import divided
from tests.configuration import Project, put

BENCHMARK, METHOD = "photodigits_quick_small_resnet", "entropic_student"
FILE = f"benchmarks/{BENCHMARK}.yaml"
PARENT = "benchmarks/photodigits_small_resnet.yaml"
RELEASED = f"released/{BENCHMARK}.yaml"
HASH = "0" * 64


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The quick run with a ResNet-18, in the working directory; the data folder is empty."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SC2_DATA", str(tmp_path / "data"))
    made = Project(tmp_path)
    made.edit(PARENT, put("teacher", "backbone", {"name": "resnet", "args": {"depth": 18}}))
    made.edit(FILE, put("methods", METHOD, "chain", None))
    made.edit("quick.yaml", put("benchmarks", {BENCHMARK: ["jpeg", METHOD]}), put("groups", {}))
    torch.manual_seed(0)
    return made


@pytest.fixture
def run(project: Project) -> Run:
    return Run(BENCHMARK, METHOD, loaded(project).benchmarks[BENCHMARK].methods[METHOD].points[0], "0")


def loaded(project: Project) -> Config:
    return load_config(project.folder / "quick.yaml")


def named(project: Project, methods: dict[str, Any]) -> None:
    (project.folder / "released").mkdir()
    (project.folder / RELEASED).write_text(json.dumps({"methods": methods}), encoding="utf-8")


def student(project: Project, run: Run) -> StudentNetwork:
    benchmark = loaded(project).benchmarks[BENCHMARK]
    return StudentNetwork(untrained_context(benchmark, benchmark.methods[METHOD], run.point), "factorized")


def as_published(state: dict[str, Tensor], density: Callable[[str], str]) -> dict[str, Tensor]:
    """Return a student's weights as the published code has them, in a given generation of CompressAI's names."""
    published = {}
    for name, value in state.items():
        if name.startswith("prior.entropy_bottleneck."):
            rest = density(name.removeprefix("prior.entropy_bottleneck."))
            name = f"bottleneck_layer.entropy_bottleneck.{rest}"
        elif name.startswith(("encoder.", "decoder.")):
            name = f"bottleneck_layer.{name}"
        else:
            name = name.removeprefix("tail.stages.").replace("head.2.", "fc.")
        published[f"module.{name}"] = value
    tables = "module.bottleneck_layer.entropy_bottleneck."
    return published | {f"{tables}_quantized_cdf": torch.ones(24, 31), f"{tables}_offset": torch.ones(24)}


def first_generation(name: str) -> str:
    plain, _, number = name.rpartition(".")
    singular = {"matrices": "_matrix", "biases": "_bias", "factors": "_factor"}
    return singular[plain] + number if plain in singular else name


GENERATIONS: dict[str, Callable[[str], str]] = {
    "_matrix0": first_generation,
    "_matrices.0": lambda name: f"_{name}" if name.split(".")[0] in ("matrices", "biases", "factors") else name,
    "matrices.0": lambda name: name,
}


@pytest.fixture(params=GENERATIONS)
def published(request: pytest.FixtureRequest, project: Project, run: Run, tmp_path: Path) -> Path:
    """A file of torchdistill's with a student's weights, in each generation of names."""
    state = as_published(student(project, run).state_dict(), GENERATIONS[request.param])
    assert any(f".{request.param}" in name for name in state)
    path = tmp_path / "published.pt"
    torch.save({"model": state, "optimizer": {}, "best_value": 0.5, "args": Namespace(seed=1)}, path)
    return path


# Reading


def test_the_density_has_one_name_whatever_its_generation_and_its_tables_are_dropped() -> None:
    ours = {"a.entropy_bottleneck.matrices.0": torch.zeros(1), "a.entropy_bottleneck.quantiles": torch.ones(1)}
    ours |= {"a.entropy_bottleneck.biases.3": torch.ones(2), "layer1.bias": torch.ones(3), "b.factor": torch.ones(1)}
    for number, names in enumerate((("_matrix0", "_bias3"), ("_matrices.0", "_biases.3"), ("matrices.0", "biases.3"))):
        matrix, bias = (f"module.a.entropy_bottleneck.{name}" for name in names)
        old = {matrix: torch.zeros(1), bias: torch.ones(2), "module.a.entropy_bottleneck.quantiles": torch.ones(1)}
        old |= {"module.a.entropy_bottleneck._cdf_length": torch.zeros(number), "scale_table": torch.ones(64)}
        old |= {"layer1.bias": torch.ones(3), "module.b.factor": torch.ones(1)}
        assert current_names(old).keys() == ours.keys()


class Runs:
    """Would run code if it were read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path("harm").write_text, ("done",))


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {"a": torch.ones(1)}, "args": Runs()}, "harmful.pt")
    with pytest.raises(CheckpointError, match=r"harmful\.pt holds more than tensors.*could run code"):
        read_released(Path("harmful.pt"))
    assert not Path("harm").exists()


@pytest.mark.parametrize("content", [{"model": {"a": 1}}, [torch.ones(1)], {}])
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_released(tmp_path / "a.pt")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(1000)}, tmp_path / "a.pt")
    (tmp_path / "a.pt").write_bytes((tmp_path / "a.pt").read_bytes()[:900])
    with pytest.raises(CheckpointError, match="damaged"):
        read_released(tmp_path / "a.pt")


# Planning


def test_a_run_with_published_weights_is_not_trained_and_no_other_job_changes(project: Project, run: Run) -> None:
    before, keys = loaded(project), vars(run)
    named(
        project,
        {
            METHOD: {
                run.point: {"source": "sc2bench", "file": "a.pt", "sha256": HASH},
                "7": {"source": "sc2bench", "file": "b.pt", "sha256": HASH},
            }
        },
    )
    after = loaded(project)
    assert trainings(before, run) == ["distill", "finetune"]
    assert trainings(after, run) == []
    assert exported(after, run) == [(run, "finetune")]
    assert job(before, "convert_released", keys) is None
    assert job(after, "train", {**keys, "phase": "finetune"}) is None
    planned = job(after, "convert_released", keys)
    assert planned is not None
    assert planned.spec["released"] == {"source": "sc2bench", "sha256": HASH}
    assert "sc2/released/student.py" in planned.fingerprint.files
    for stage in ("export", "evaluate"):
        was, now = job(before, stage, keys), job(after, stage, keys)
        assert was is not None
        assert now is not None
        assert was.id == now.id
    assert Order(after).priority("convert_released", keys) < Order(before).priority(
        "train", {**keys, "phase": "distill"}
    )


@pytest.mark.parametrize(
    ("methods", "where", "message"),
    [
        ({"entropic_studnet": {}}, "methods.entropic_studnet", "unknown method"),
        ({"jpeg": {"10": {"source": "sc2bench", "file": "a.pt", "sha256": HASH}}}, "methods.jpeg", "is not trained"),
        ({METHOD: {"-1": {"source": "sc2bench", "file": "a.pt", "sha256": HASH}}}, f"methods.{METHOD}.-1", "-1"),
        ({METHOD: {"1": {"source": "sc2bench", "file": "a.pt", "sha256": "0"}}}, f"methods.{METHOD}.1.sha256", ""),
    ],
)
def test_mistakes_are_named(project: Project, methods: dict[str, Any], where: str, message: str) -> None:
    named(project, methods)
    [(place, told)] = project.problems("quick.yaml")
    assert place.startswith(f"{RELEASED}: ")
    assert where.split(".")[1] in place
    assert message in told


def test_a_file_for_no_benchmark_is_named(project: Project) -> None:
    named(project, {})
    (project.folder / RELEASED).rename(project.folder / "released/nothing.yaml")
    assert project.problems("quick.yaml") == [
        ("released/nothing.yaml", "there is no benchmark nothing: remove this file, or rename it")
    ]


# Taking a file, and converting it


def test_from_a_published_file_to_the_halves(project: Project, run: Run, published: Path, tmp_path: Path) -> None:
    """The whole way, with a record each: the command, the checkpoint, the export; the weights arrive unchanged."""
    told = import_released(project.folder / "quick.yaml", run, published)
    sha256 = hashlib.sha256(published.read_bytes()).hexdigest()
    assert sha256 in told
    assert (tmp_path / "data" / "published.pt").read_bytes() == published.read_bytes()
    config = loaded(project)
    benchmark = config.benchmarks[BENCHMARK]
    context = untrained_context(benchmark, benchmark.methods[METHOD], run.point)
    content = context.teacher.model_dump(mode="python") | {"kind": "teacher"}
    save_atomically(content, tmp_path / "teacher.pt")
    folder = Path("results/released")
    checkpoint = folder / "checkpoint.pt"
    stage(project, "convert_released", run, {"released": [Path("data/published.pt")]}, {"checkpoint": checkpoint})
    state = load_phase(checkpoint, METHOD)
    original = torch.load(published, weights_only=False)["model"]
    for name in ("bottleneck_layer.encoder.0.weight", "layer3.0.conv1.weight", "fc.bias"):
        ours = name.removeprefix("bottleneck_layer.")
        ours = ours if ours.startswith("encoder") else f"tail.stages.{ours}".replace("fc.", "head.2.")
        assert torch.equal(state[ours], original[f"module.{name}"])
    record = read_record(folder / "checkpoint.prov.json")
    assert {file.sha256 for file in record.input_files()} >= {sha256}
    assert f"published.pt  sha256 {sha256}" in format_trace(trace(checkpoint))
    outputs = {
        name: Path("results/export") / file
        for name, file in (("device", "device.pt"), ("server", "server.pt"), ("costs", "costs.json"))
    }
    stage(project, "export", run, {"checkpoint": [checkpoint]}, outputs)
    assert json.loads(outputs["costs"].read_text())["encoder_params"] > 0
    assert "convert_released" in format_trace(trace(outputs["device"]))


def stage(project: Project, name: str, run: Run, inputs: dict[str, Any], outputs: dict[str, Path]) -> None:
    first = next(iter(outputs.values()))
    run_stage(
        name,
        config_path=project.folder / "quick.yaml",
        keys=vars(run),
        inputs={"teacher": Path("teacher.pt"), **inputs},
        outputs=outputs,
        record=first.with_suffix(".prov.json"),
        planned_id=None,
        threads=1,
    )


def one_published(project: Project, run: Run) -> Path:
    path = Path("one.pt")
    torch.save(as_published(student(project, run).state_dict(), GENERATIONS["matrices.0"]), path)
    return path


def test_the_command_line_says_what_to_do_next(project: Project, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    path = one_published(project, run)
    words = ["import-sc2bench", str(path), "--benchmark", BENCHMARK, "--method", METHOD, "--point", run.point]
    assert main([*words, "--config", str(project.folder / "quick.yaml")]) == 0
    assert f"results/evaluate/{BENCHMARK}/{METHOD}/{run.point}/seed0/summary.json" in capsys.readouterr().out
    assert trainings(loaded(project), run) == []


def test_another_file_of_the_same_name_is_not_overwritten(project: Project, run: Run) -> None:
    path = one_published(project, run)
    Path("data").mkdir()
    Path("data/one.pt").write_bytes(b"mine")
    with pytest.raises(DataError, match="another file of this name"):
        import_released(project.folder / "quick.yaml", run, path)
    assert Path("data/one.pt").read_bytes() == b"mine"
    assert not (project.folder / "released").exists()


def test_weights_of_another_width_are_refused_with_the_first_difference(project: Project, run: Run) -> None:
    path = one_published(project, run)
    project.edit(FILE, put("methods", METHOD, "params", "encoder_channels", [5, 5, 5]))
    with pytest.raises(CheckpointError, match=r"one\.pt is not taken: .*encoder.*in the file.*Check benchmark"):
        import_released(project.folder / "quick.yaml", run, path)


def test_entries_that_have_no_place_or_are_missing_are_named(project: Project, run: Run) -> None:
    state = torch.load(one_published(project, run))
    torch.save({**state, "layer9.weight": torch.ones(1)}, "more.pt")
    with pytest.raises(CheckpointError, match=r"layer9\.weight, which is none of resnet"):
        import_released(project.folder / "quick.yaml", run, Path("more.pt"))
    torch.save({**state, "bottleneck_layer.h_q.weight": torch.ones(1)}, "more.pt")
    with pytest.raises(CheckpointError, match=r"h_q\.weight, which this method's has not"):
        import_released(project.folder / "quick.yaml", run, Path("more.pt"))
    torch.save({name: value for name, value in state.items() if "fc.bias" not in name}, "less.pt")
    with pytest.raises(CheckpointError, match=r"1 entries differ, e\.g\. no tail\.stages\.head\.2\.bias"):
        import_released(project.folder / "quick.yaml", run, Path("less.pt"))


def test_outputs_are_chosen_by_the_benchmarks_class_indices(project: Project, run: Run) -> None:
    """Of a classifier of 1000 classes the rows of the benchmark's ones are kept, in their order."""
    from sc2.released.rest import classifier_rest

    classes = class_count(loaded(project).benchmarks[BENCHMARK])
    rows = [3 * number + 1 for number in range(classes)]
    spec = loaded(project).benchmarks[BENCHMARK].config.teacher.backbone
    weight = torch.arange(1000 * 4.0).reshape(1000, 4)
    names = [str(number) for number in range(classes)]
    own = classifier_rest({"fc.weight": weight}, spec, names, rows)
    assert torch.equal(own["stages.head.2.weight"], weight[rows])
    with pytest.raises(CheckpointError, match="1000 outputs"):
        classifier_rest({"fc.weight": weight}, spec, names, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"benchmark": "nothing"}, "does not run nothing"),
        ({"method": "end_to_end"}, "does not run end_to_end"),
        ({"method": "jpeg", "point": "10"}, "jpeg is not trained"),
        ({"point": "77"}, "has no point 77"),
        ({"seed": "5"}, "has no seed 5"),
    ],
)
def test_a_run_that_is_not_planned_is_refused(project: Project, run: Run, change: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        import_released(project.folder / "quick.yaml", Run(**{**vars(run), **change}), Path("any.pt"))


def test_a_chain_of_points_is_refused(project: Project, run: Run) -> None:
    project.edit(FILE, put("methods", METHOD, "chain", {}))
    with pytest.raises(ConfigError, match="remove `chain`"):
        import_released(project.folder / "quick.yaml", run, Path("any.pt"))
    named(project, {METHOD: {run.point: {"source": "sc2bench", "file": "a.pt", "sha256": HASH}}})
    [(place, told)] = project.problems("quick.yaml")
    assert place == f"{RELEASED}: methods.{METHOD}"
    assert "chain" in told


def test_a_chain_that_starts_from_published_weights_is_refused(project: Project, run: Run) -> None:
    later = "entropic_student_shp"
    project.edit(FILE, put("methods", later, "points", [run.point]))
    project.edit("quick.yaml", put("benchmarks", {BENCHMARK: [METHOD, later]}))
    named(project, {METHOD: {run.point: {"source": "sc2bench", "file": "a.pt", "sha256": HASH}}})
    [(place, told)] = project.problems("quick.yaml")
    assert place == f"{RELEASED}: methods.{METHOD}.{run.point}"
    assert told.startswith(f"{later} starts from a training at this point (chain.first_from)")


def test_a_network_that_no_library_has_is_refused(project: Project, run: Run) -> None:
    path = one_published(project, run)
    project.edit(PARENT, put("teacher", "backbone", {"name": "small_resnet"}))
    with pytest.raises(CheckpointError, match="nobody publishes weights of small_resnet"):
        import_released(project.folder / "quick.yaml", run, path)
    assert get_method(METHOD).phases()


# Other families


def test_a_reduction_keeps_its_parts_and_a_codec_leaves_the_classifier_beside_it() -> None:
    state = {"bottleneck_layer.encoder.0.weight": torch.ones(1), "bottleneck_layer.decoder.11.bias": torch.ones(2)}
    state |= {"layer2.0.conv1.weight": torch.ones(3)}
    parts = divided(state, lambda others: {f"stages.{name}": value for name, value in others.items()})
    assert {name: len(value) for name, value in reduction.weights(None, parts).items()} == {
        "encoder.0.weight": 1,
        "decoder.11.bias": 2,
        "tail.stages.layer2.0.conv1.weight": 3,
    }
    for start in ("", "compression_model."):
        codec = {f"{start}g_a.0.weight": torch.ones(1), f"{start}h_s.0.bias": torch.ones(2)}
        beside = {"classification_model.fc.bias": torch.ones(3)} if start else {}
        own = learned_codec.weights(None, divided({**codec, **beside}, lambda others: {}))
        assert {name: len(value) for name, value in own.items()} == {"codec.g_a.0.weight": 1, "codec.h_s.0.bias": 2}


def test_a_hybrid_vits_parts_have_their_places_in_timms_network() -> None:
    """The published class takes the network apart; its names are put together again."""
    import timm

    from sc2.backbones.spec import BackboneSpec
    from sc2.released.rest import classifier_rest

    with torch.device("meta"):
        library = timm.create_model("vit_small_r26_s32_224").state_dict()
    apart = {
        "patch_embed.backbone.stages.": "patch_embed_pruned_stages.",
        "patch_embed.backbone.norm.": "patch_embed_norm.",
        "patch_embed.proj.": "patch_embed_proj.",
    }
    published = {}
    for name, value in library.items():
        if not name.startswith(("patch_embed.backbone.stem", "patch_embed.backbone.stages.0.")):
            start = next((start for start in apart if name.startswith(start)), "")
            published[apart.get(start, "") + name.removeprefix(start)] = value
    classes = [str(number) for number in range(1000)]
    own = classifier_rest(published, BackboneSpec(name="hybrid_vit"), classes, None)
    assert len(own) == len(published) > 150
    assert own["stages.head.proj.weight"].shape == library["patch_embed.proj.weight"].shape
    assert {name.split(".")[1] for name in own} == {"layer2", "layer3", "head"} | (
        {"layer4"} if any(name.startswith("stages.layer4") for name in own) else set()
    )
