"""Stage `convert_released`: published weights as the last checkpoint of a run; nothing is trained or settled.

The quantiles stay those of the file: its decoder was trained on latents rounded around them.
"""

import importlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sc2.checkpoint import load_checkpoint, save_atomically
from sc2.data.archive import verified
from sc2.errors import CheckpointError
from sc2.job import RunningJob
from sc2.methods import get_method
from sc2.released.file import read_released
from sc2.released.frequencies import read_counts
from sc2.released.parts import divided, load
from sc2.released.rest import Chosen, classifier_rest, dense_rest
from sc2.split.method import BuildContext


def run(job: RunningJob) -> None:
    """Write the checkpoint of the last phase from the file in `released`."""
    name = job.keys["method"]
    method, paths, released = get_method(name), job.input_list("released"), job.spec["released"]
    hashes = [released["sha256"], *([released["frequencies"]["sha256"]] if "frequencies" in released else [])]
    for path, sha256 in zip(paths, hashes, strict=True):
        verified(path, sha256)
    context = method.context(
        job.spec["arch"], job.keys["point"], job.spec["input"], load_checkpoint(job.input("teacher"), "teacher")
    )
    try:
        network = converted(method, context, read_files(context, *paths), job.spec["class_indices"])
    except CheckpointError as error:
        raise CheckpointError(f"{paths[0]}: {error}") from error
    content = {"kind": "phase", "method": name, "phase": method.phases()[-1], "state": network.state_dict()}
    save_atomically(content, job.outputs["checkpoint"])


def read_files(context: BuildContext[Any], weights: Path, frequencies: Path | None = None) -> dict[str, Tensor]:
    """Return a published state dict, and with it what a table of frequencies adds to it.

    Raises:
        CheckpointError: A file cannot be read without running code, or does not fit.
    """
    return read_released(weights) | ({} if frequencies is None else read_counts(frequencies, context))


def converted(method: Any, context: BuildContext[Any], state: Mapping[str, Tensor], chosen: Chosen) -> nn.Module:
    """Return a run's network with published weights.

    Args:
        method: The method.
        context: What its network is built from.
        state: The published state dict, as `read_files` returns it.
        chosen: `teacher.class_indices` of the benchmark.

    Raises:
        CheckpointError: They do not fit.
    """
    teacher = context.teacher
    rest = classifier_rest if teacher.backbone.head is None else dense_rest
    family = importlib.import_module(family_module(method.family))
    network: nn.Module = family.network(method, context)
    parts = divided(state, partial(rest, backbone=teacher.backbone, classes=teacher.classes, chosen=chosen))
    load(network, family.weights(method, parts))
    return network


def family_module(family: str) -> str:
    """Return the module that knows the published layout of a family of methods."""
    return f"sc2.released.{family}"
