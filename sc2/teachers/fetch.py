"""Stage `fetch_teacher`: a published reference model, by name from torchvision or timm, or from a local file.

Whatever the source, the weights are one file whose SHA-256 the configuration names; it is checked before it is read,
and read without running any code that it may hold.
"""

import importlib
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.base import StagedClassifier
from sc2.data.archive import data_dir, verified
from sc2.data.store import read_meta
from sc2.errors import CheckpointError, DataError
from sc2.job import RunningJob
from sc2.training.loop import save_atomically


def run(job: RunningJob) -> None:
    """Fetch, check and convert the weights; the checkpoint holds `backbone`, `classes` and `state`."""
    teacher = job.spec["teacher"]
    classes = list(read_meta(job.input("meta")).classes)
    path = verified(_SOURCES[teacher["source"]](teacher), teacher["sha256"])
    model = reference_model(teacher, read_state(path), classes)
    content = {"kind": "teacher", "backbone": teacher["backbone"], "classes": classes, "state": model.state_dict()}
    save_atomically(content, job.outputs["checkpoint"])


def reference_model(teacher: Mapping[str, Any], state: Mapping[str, Tensor], classes: list[str]) -> StagedClassifier:
    """Load published weights into the library's own layout and return the network as stages.

    Raises:
        CheckpointError: The weights do not fit the network, or its outputs do not fit the classes.
    """
    family = importlib.import_module(f"sc2.backbones.{teacher['backbone']['name']}")
    if not hasattr(family, "network"):
        raise CheckpointError(f"the network {teacher['backbone']['name']} has no published weights: train it instead")
    network: nn.Module = family.network(_outputs_of(state), **teacher["backbone"]["args"])
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        raise CheckpointError(f"{teacher['weights']} does not fit {teacher['backbone']['name']}: {error}") from error
    model: StagedClassifier = family.staged(network)
    if teacher["class_indices"] is not None:
        model.keep_classes(teacher["class_indices"])
    outputs = model.eval()(torch.zeros(1, 3, 224, 224)).shape[1]
    if outputs != len(classes):
        raise CheckpointError(
            f"the reference model has {outputs} outputs, the data set {len(classes)} classes; "
            "list the outputs to keep in teacher.class_indices"
        )
    return model


def read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict from a PyTorch or safetensors file.

    Raises:
        CheckpointError: The file cannot be read as one.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return dict(load_file(path))
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path} holds no state dict: {error}") from error


def _outputs_of(state: Mapping[str, Tensor]) -> int:
    # The classifier's bias is the last entry of every library's state dict of these families.
    return int(list(state.values())[-1].shape[0])


def _local(teacher: Mapping[str, Any]) -> Path:
    return data_dir() / teacher["weights"]


def _torchvision(teacher: Mapping[str, Any]) -> Path:
    from torchvision.models import get_model_weights

    backbone = teacher["backbone"]
    name = f"{backbone['name']}{backbone['args'].get('depth', '')}"
    try:
        url = get_model_weights(name)[teacher["weights"]].url
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"torchvision has no weights {teacher['weights']!r} for {name}") from error
    return _download(url, url.rsplit("/", 1)[-1])


def _timm(teacher: Mapping[str, Any]) -> Path:
    from timm.models import get_pretrained_cfg

    config = get_pretrained_cfg(teacher["weights"])
    if config is None or not config.hf_hub_id:
        raise CheckpointError(f"timm has no weights {teacher['weights']!r}")
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(config.hf_hub_id, "model.safetensors"))
    except OSError as error:
        raise DataError(f"cannot download {teacher['weights']} of timm: {error}") from error


def _download(url: str, name: str) -> Path:
    target = data_dir() / "weights" / name
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(target))
        except OSError as error:
            raise DataError(f"cannot download {name}: {error}; or put the file at {target} yourself") from error
    return target


_SOURCES: dict[str, Callable[[Mapping[str, Any]], Path]] = {
    "file": _local,
    "torchvision": _torchvision,
    "timm": _timm,
}
