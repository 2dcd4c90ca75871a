"""The stages on dense tasks, one after the other: teacher, training, export, evaluation, with an encoder taken over."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from sc2.checkpoint import load_checkpoint
from sc2.commands.link import decode_file, encode_file
from sc2.data.limits import largest_latent
from sc2.data.spec import SizeSpec
from sc2.drawing import DrawingJob
from sc2.errors import CheckpointError, ConfigError, DataError, WireError
from sc2.job import RunningJob
from sc2.measure.spec import LatencySpec
from sc2.methods import get_method
from sc2.methods.student.halves import StudentDevice
from sc2.report import snapshot, style
from sc2.report.columns import quality_of
from sc2.report.examples import run as draw_examples
from sc2.report.timed import by_size
from sc2.runs.answers import Answers
from sc2.runs.evaluate import run as evaluate
from sc2.runs.export import run as export
from sc2.runs.halves import load_device, load_server
from sc2.runs.latency import ONE_BY_ONE, time_parts
from sc2.runs.latency import run as measure_latency
from sc2.runs.train import run as train
from sc2.tasks import get_task
from sc2.teachers.evaluate import run as evaluate_teacher
from sc2.teachers.train import run as train_teacher
from tests.dense import HEADS, SPEC, store_of, write_scenes

TASKS = ["classification", "detection", "segmentation"]
DENSE = TASKS[1:]
SIDE = SPEC.resize
BACKBONE = {"name": "small_resnet", "args": {"width": 8}}
METHOD, POINT = "entropic_student", "0.01"
PARAMS: dict[str, Any] = {
    "encoder_channels": [6, 5, 4],
    "decoder_channels": [8, 8],
    "latent_gain": 20,
    "phases": {"distill": {"epochs": 1, "batch_size": 4}, "finetune": {"epochs": 1, "batch_size": 4}},
}


class Project:
    """Runs stages in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = write_scenes(folder / "data", (8, 4, 5))
        self.params = get_method(METHOD).Params.model_validate(PARAMS).model_dump(mode="json")

    def job(
        self,
        stage: str,
        task: str,
        spec: dict[str, Any],
        inputs: dict[str, Any],
        outputs: list[str],
        seed: str = "0",
    ) -> RunningJob:
        made = self.folder / task / stage / seed
        made.mkdir(parents=True, exist_ok=True)
        keys = {"benchmark": task, "method": METHOD, "point": POINT, "seed": seed, "phase": stage}
        data = {name: path for name, path in self.data.items() if name in ("index", "meta", "train", "val", "test")}
        job_spec = {
            "task": task,
            "input": SPEC.model_dump(mode="json"),
            "title": METHOD,
            "augment": {"flip": True},
            **spec,
        }
        paths = {name: made / name for name in outputs}
        label = f"{task}/{stage}/{seed}"
        # Training states go by the job's identity: two jobs must not share one.
        job_id = hashlib.sha256(label.encode()).hexdigest()[:16]
        return RunningJob(stage, keys, job_spec, {**data, **inputs}, paths, job_id, label=label)

    def teacher(self, task: str, body: list[Path], seed: str = "0") -> Path:
        training = {"epochs": 1, "batch_size": 4, "lr": 0.01, "weight_decay": 0.0, "label_smoothing": 0.0}
        training["body_lr_factor"] = 1.0
        head = get_task(task).Head.model_validate(HEADS[task]).model_dump()
        teacher = {"source": "train", "backbone": BACKBONE, "head": head, "training": training}
        job = self.job("teacher", task, {"teacher": teacher}, {"body": body}, ["checkpoint", "history"], seed)
        train_teacher(job)
        return job.outputs["checkpoint"]

    def phase(self, task: str, phase: str, teacher: Path, previous: list[Path], encoder: list[Path]) -> Path:
        spec = {"arch": self.arch, "phase": self.params["phases"][phase]}
        inputs = {"teacher": teacher, "previous": previous, "encoder": encoder}
        job = self.job(phase, task, spec, inputs, ["checkpoint", "history"])
        train(job)
        return job.outputs["checkpoint"]

    @property
    def arch(self) -> dict[str, Any]:
        return {key: value for key, value in self.params.items() if key != "phases"}

    def halves(self, task: str, teacher: Path, checkpoint: Path, size: int = SIDE) -> Mapping[str, Path]:
        inputs = {"teacher": teacher, "checkpoint": [checkpoint]}
        spec = {"arch": self.arch, "input": {**SPEC.model_dump(mode="json"), "resize": size, "crop": size}}
        job = self.job(f"export_{size}", task, spec, inputs, ["device", "server", "costs"])
        export(job)
        return job.outputs


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """All stages of the three tasks, the dense ones with the encoder and the body of classification."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("scratch"))
        project = Project(tmp_path_factory.mktemp("project"))
        made: dict[str, Any] = {"project": project}
        for task in TASKS:
            taken = made.get("classification", {})
            teacher = project.teacher(task, [taken["teacher"]] if taken else [])
            first = project.phase(task, "distill", teacher, [], [taken["finetune"]] if taken else [])
            second = project.phase(task, "finetune", teacher, [first], [])
            halves = project.halves(task, teacher, second)
            made[task] = {"teacher": teacher, "distill": first, "finetune": second, **halves}
        yield made


def evaluated(built: dict[str, Any], task: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    inputs = {name: built[task][name] for name in ("device", "server", "costs")}
    job = built["project"].job("evaluate", task, {}, inputs, ["samples", "summary"])
    evaluate(job)
    return pd.read_parquet(job.outputs["samples"]), json.loads(job.outputs["summary"].read_text())


@pytest.mark.parametrize("task", TASKS)
def test_the_summary_holds_every_quality_column_and_the_costs(built: dict[str, Any], task: str) -> None:
    samples, summary = evaluated(built, task)
    assert summary["task"] == task
    assert summary["images"] == len(samples) == 5
    for column in quality_of(task).columns:
        column.format(summary[column.name])
    assert summary["payload_bytes_mean"] == pytest.approx(samples["payload_bytes"].mean())
    assert summary["encoder_macs"] > 0 < summary["server_macs"]
    assert summary["side_measures"] == {}
    assert len(json.loads(built[task]["costs"].read_text())["latent_shape"]) == 3


def test_one_encoder_serves_all_tasks(built: dict[str, Any]) -> None:
    """The same bytes for the same image, and three server halves that take them."""
    contents = [load_checkpoint(built[task]["device"], "device") for task in TASKS]
    assert len({content["fingerprint"] for content in contents}) == 1
    payloads = [evaluated(built, task)[0]["payload_bytes"].tolist() for task in TASKS]
    assert payloads[0] == payloads[1] == payloads[2]
    states = [load_checkpoint(built[task]["finetune"], "phase")["state"] for task in TASKS]
    for name, value in states[0].items():
        if name.startswith(("encoder.", "prior.")):
            assert all(torch.equal(value, state[name]) for state in states[1:]), name
    moved = [not torch.equal(states[0]["decoder.0.weight"], state["decoder.0.weight"]) for state in states[1:]]
    assert all(moved)


@pytest.mark.parametrize("task", TASKS)
def test_one_container_decodes_for_every_task(built: dict[str, Any], task: str, tmp_path: Path) -> None:
    store = store_of(built["project"].data, "test")
    store.image(1).save(tmp_path / "image.png")
    encode_file(built["classification"]["device"], tmp_path / "image.png", tmp_path / "out.sc2")
    answer = json.loads(decode_file([built[task]["server"]], tmp_path / "out.sc2", top=3, as_json=True))
    assert (
        set(answer)
        == {
            "classification": {"class", "index", "logits"},
            "detection": {"boxes"},
            "segmentation": {"labels", "mask"},
        }[task]
    )
    assert decode_file([built[task]["server"]], tmp_path / "out.sc2", top=3, as_json=False)


def test_one_payload_gets_three_answers(built: dict[str, Any], tmp_path: Path) -> None:
    """`sc2 encode` once, then all server halves, or the one of a task."""
    container = tmp_path / "out.sc2"
    store_of(built["project"].data, "test").image(1).save(tmp_path / "image.png")
    encode_file(built["classification"]["device"], tmp_path / "image.png", container)
    servers = [built[task]["server"] for task in TASKS]
    alone = {task: decode_file([built[task]["server"]], container, top=3, as_json=True) for task in TASKS}
    together = json.loads(decode_file(servers, container, top=3, as_json=True))
    assert together == {task: json.loads(answer) for task, answer in alone.items()}
    assert decode_file(servers, container, task="detection", top=3, as_json=True) == alone["detection"]
    words = decode_file(servers, container, top=1, as_json=False)
    assert [line.removesuffix(":") for line in words.splitlines() if line.removesuffix(":") in TASKS] == TASKS
    with pytest.raises(
        ConfigError, match="no server half for the task segmentation; there are halves for: classification"
    ):
        decode_file(servers[:2], container, task="segmentation", top=1, as_json=False)
    with pytest.raises(ConfigError, match="two server halves for the task detection"):
        decode_file([servers[1], servers[1]], container, top=1, as_json=False)


def test_tasks_with_larger_images_answer_a_smaller_payload(built: dict[str, Any], tmp_path: Path) -> None:
    """Three answers at the classifier's size; what is encoded at the dense tasks' own is too large for it."""
    project, container = built["project"], tmp_path / "out.sc2"
    store_of(project.data, "test").image(1).save(tmp_path / "image.png")
    trained = built["classification"]
    classifier = project.halves("classification", trained["teacher"], trained["finetune"], size=SIDE // 2)
    dense = [built[task]["server"] for task in DENSE]
    encode_file(classifier["device"], tmp_path / "image.png", container)
    assert list(json.loads(decode_file([classifier["server"], *dense], container, top=1, as_json=True))) == TASKS
    encode_file(built["detection"]["device"], tmp_path / "image.png", container)
    assert list(json.loads(decode_file(dense, container, top=1, as_json=True))) == DENSE
    refused = r"out\.sc2: the server half for classification: a latent of .* cannot come .*; decode without it$"
    with pytest.raises(WireError, match=refused):
        decode_file([classifier["server"], *dense], container, top=1, as_json=True)


@pytest.mark.parametrize("task", TASKS)
def test_examples_show_every_point(built: dict[str, Any], task: str) -> None:
    spec = {"points": ["1", "4"], "symbol": "β=", "images": 2, "method_title": "Student", "title": "scenes"}
    inputs = {"devices": [built[task]["device"]] * 2, "servers": [built[task]["server"]] * 2}
    job = DrawingJob(**vars(built["project"].job("examples", task, spec, inputs, ["webp"])))
    draw_examples(job)
    with Image.open(job.outputs["webp"]) as picture:
        assert picture.format == "WEBP"
    # Two images of truth and two points, and room for the texts; with photographs too a snapshot can hold it.
    assert picture.size[0] == round(3 * 1.45 * 120)
    assert picture.size[1] > 2 * 1.45 * 120
    first = job.outputs["webp"].read_bytes()
    assert len(first) < snapshot.MAX_BYTES
    draw_examples(replace(job, record_id="f" * 16))
    assert job.outputs["webp"].read_bytes() == first
    draw_examples(replace(job, uncommitted=True))
    with Image.open(job.outputs["webp"]) as told:
        assert told.size == (picture.size[0], picture.size[1] + 0.2 * style.PICTURE_DPI)


def test_a_long_title_stays_inside_the_figure(built: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[Figure] = []
    monkeypatch.setattr("sc2.report.style.save_picture", lambda figure, *_: saved.append(figure))
    spec = {"points": ["1", "4"], "symbol": "β=", "images": 2, "method_title": "Student (FP)"}
    spec["title"] = "PASCAL VOC segmentation, DeepLabv3 on MobileNetV2, small"
    inputs = {"devices": [built["detection"]["device"]] * 2, "servers": [built["detection"]["server"]] * 2}
    job = built["project"].job("examples", "detection", spec, inputs, ["webp"])
    draw_examples(DrawingJob(**vars(job)))
    title = saved[0].texts[0]
    assert "\n" in title.get_text()
    assert title.get_window_extent().x1 < saved[0].bbox.width


@pytest.mark.parametrize("task", TASKS)
def test_the_teacher_is_judged_by_the_same_columns(built: dict[str, Any], task: str) -> None:
    job = built["project"].job("evaluation", task, {}, {"teacher": built[task]["teacher"]}, ["evaluation", "samples"])
    evaluate_teacher(job)
    found = json.loads(job.outputs["evaluation"].read_text())
    for column in quality_of(task).columns:
        column.format(found[column.name])
    assert found["teacher"] == "small_resnet"
    assert found["params"] > 0 < found["macs"]


def test_a_teacher_is_another_one_with_another_seed_and_the_same_with_the_same(built: dict[str, Any]) -> None:
    project, first = built["project"], built["classification"]["teacher"].read_bytes()
    assert project.teacher("classification", [], "1").read_bytes() != first
    assert project.teacher("classification", [], "0").read_bytes() == first


@pytest.mark.parametrize("task", DENSE)
def test_a_dense_body_starts_where_classification_ended(built: dict[str, Any], task: str, tmp_path: Path) -> None:
    own, other = (load_checkpoint(built[name]["teacher"], "teacher") for name in (task, "classification"))
    assert own["task"] == task
    assert own["state"].keys() > {n for n in other["state"] if "head" not in n}
    wrong = tmp_path / "teacher.pt"
    torch.save({**other, "state": {"stages.stem.0.weight": torch.zeros(1)}}, wrong)
    with pytest.raises(CheckpointError, match=r"the body of small_resnet .* does not fit"):
        built["project"].teacher(task, [wrong])


def test_an_encoder_of_other_parameters_is_refused(built: dict[str, Any], tmp_path: Path) -> None:
    content = load_checkpoint(built["classification"]["finetune"], "phase")
    content["state"]["encoder.0.weight"] = torch.zeros(3, 3, 5, 5)
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="encoder of the encoder_from benchmark does not fit"):
        built["project"].phase("detection", "distill", built["detection"]["teacher"], [], [tmp_path / "other.pt"])


def test_a_data_set_without_boxes_is_refused(built: dict[str, Any]) -> None:
    store = store_of(built["project"].data, "test")
    for sample in store.samples:
        object.__setattr__(sample, "boxes", ())
    with pytest.raises(DataError, match="Choose a data set for detection"):
        get_task("detection").target(store, 0)


@pytest.mark.parametrize("task", DENSE)
def test_batches_of_equal_shapes_give_the_numbers_of_single_images(
    built: dict[str, Any], task: str, tmp_path: Path
) -> None:
    """Images of three sizes, mixed, whole: answered one by one, in threes and all together."""
    sizes = [(64, 64), (128, 64), (64, 96)]
    store = store_of(write_scenes(tmp_path, (9, 1, 1), lambda index: sizes[index % 3]))
    spec = SizeSpec(fit="whole", resize=64, multiple=32, longest=128)
    method = get_method(METHOD)
    device = method.load_device(load_checkpoint(built[task]["device"], "device")["half"])
    assert isinstance(device, StudentDevice)
    # Built for squares of 64 pixels; the same weights for whole images.
    half = load_checkpoint(built[task]["server"], "server")["half"]
    model = method.load_server({**half, "largest": largest_latent(device.encoder, spec)})
    calls: list[int] = []

    def answer(batch: Tensor) -> Any:
        calls.append(len(batch))
        return model.answer(batch)

    found, columns = [], []
    for batch in (1, 3, 100):
        answers = Answers(get_task(task), store, spec, 3, answer, batch=batch)
        for index in range(len(store)):
            answers.receive(index, model.decode(device.encode(answers.image(index))))
        answers.finish()
        found.append(answers.scorer.summary())
        columns.append(answers.scorer.columns())
    assert sorted(calls) == [1] * 9 + [3] * 6
    for other in found[1:]:
        assert other.keys() == found[0].keys()
        assert [other[name] for name in other] == [
            None if value is None else pytest.approx(value, rel=1e-6) for value in found[0].values()
        ]
    for more in columns[1:]:
        assert more.keys() == columns[0].keys()


@pytest.mark.parametrize("task", DENSE)
def test_the_parts_of_any_task_can_be_timed(built: dict[str, Any], task: str) -> None:
    device, _ = load_device(built[task]["device"])
    server, _ = load_server(built[task]["server"])
    images = [np.asarray(store_of(built["project"].data, "test").image(0))]
    timings = time_parts(device, server, images, LatencySpec(repeats=2, warmup=0), batch=2)
    assert [timings[name].repeats for name in ("encoder", "server", "server_batch")] == [2, 2, 2]
    assert all(timing.p50_ms > 0 for timing in timings.values())


@pytest.mark.parametrize("task", DENSE)
def test_the_latency_of_each_timed_image_is_kept_with_its_bytes(built: dict[str, Any], task: str) -> None:
    timing = {"repeats": 6, "warmup": 1, "images": 3, "budget_s": 60, "spread_pct": 1e6}
    spec = {"latency": timing, "runs": [[POINT, "0"]]}
    inputs = {"devices": [built[task]["device"]], "servers": [built[task]["server"]]}
    job = built["project"].job("measure_latency", task, spec, inputs, ["latency", "switch"])
    measure_latency(job)
    [row] = json.loads(job.outputs["latency"].read_text())["runs"]
    sent = evaluated(built, task)[0]["session_bytes"].tolist()
    assert [image["session_bytes"] for image in row["images"]] == sent[:3]
    assert row["repeats"] == 6
    for part in ONE_BY_ONE:
        times = [image[f"{part}_ms"] for image in row["images"]]
        # Two calls on each image, and with six calls the interval goes from the shortest to the longest.
        assert row[f"{part}_ms_low"] <= min(times) <= max(times) <= row[f"{part}_ms_high"]
    found = by_size(row["images"])
    assert (found["timed_images"], found["timed_bytes_min"]) == (3, min(sent[:3]))


def test_a_machine_on_which_no_median_is_known_counts_as_loaded(
    built: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    timing = {"repeats": 6, "warmup": 0, "images": 1, "budget_s": 60, "spread_pct": 1e-9}
    inputs = {"devices": [built["detection"]["device"]], "servers": [built["detection"]["server"]]}
    spec = {"latency": timing, "runs": [[POINT, "0"]]}
    job = built["project"].job("measure_latency", "detection", spec, inputs, ["latency", "switch"])
    measure_latency(job)
    found = json.loads(job.outputs["latency"].read_text())
    assert found["loaded"] is True
    assert found["runs"][0]["repeats"] == 24
    assert "% after 24 calls, not to ±1e-09 %: is this machine busy?" in capsys.readouterr().err


@pytest.mark.parametrize(("repeats", "calls"), [(1, 1), (4, 4), (6, 5), (16, 6)])
def test_batches_are_timed_whole(built: dict[str, Any], repeats: int, calls: int) -> None:
    """A batch of three takes the images of the first one's size in turn; one call warms up."""
    device, _ = load_device(built["segmentation"]["device"])
    server, _ = load_server(built["segmentation"]["server"])
    seen: list[Tensor] = []

    class Watched:
        decode = staticmethod(server.decode)

        @staticmethod
        def answer(received: Tensor) -> None:
            seen.append(received)

    image = np.asarray(store_of(built["project"].data, "test").image(0))
    other = image[:, ::-1]
    images = [image, image[:-32], other]
    spec = LatencySpec(repeats=repeats, warmup=1, budget_s=60)
    found = time_parts(device, Watched, images, spec, batch=3)  # type: ignore[arg-type]
    batches = [tensor for tensor in seen if len(tensor) == 3]
    assert (found["server_batch"].repeats, len(batches)) == (calls, calls + 1)
    first, second = (server.decode(device.encode(each)) for each in (image, other))
    assert torch.equal(batches[0], torch.cat([first, second, first]))
