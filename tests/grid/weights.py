"""Random weights in the layouts of those that are published, at the places where these would be fetched."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import timm
import torch
from compressai.zoo import image as zoo
from torch import Tensor, nn
from torchvision import models

from sc2.backbones.spec import BackboneSpec
from sc2.errors import CheckpointError
from sc2.teachers.spec import PublishedWeights

CLASSIFIER = "{}"
"""What `published_as` of a task is whose networks are classifiers."""


@contextmanager
def random_weights(folder: Path) -> Iterator[None]:
    """Replace downloads by random weights of the same names and shapes while the block runs.

    Args:
        folder: Where files of weights are written.
    """

    def codec_file(url: str, sha256: str) -> Path:
        path = folder / url.rpartition("/")[2]
        torch.save(codec_state(url), path)
        return path

    with (
        mock.patch("sc2.teachers.fetch.fetched_state", teacher_state),
        mock.patch("sc2.methods.learned_codec.published.fetched_weights", codec_file),
    ):
        yield


def teacher_state(
    published: PublishedWeights, backbone: BackboneSpec, published_as: str = CLASSIFIER
) -> dict[str, Tensor]:
    """Stand in for `sc2.teachers.fetch.fetched_state`: the network that the library has under that name, untrained.

    Its batch norms hold the statistics of a batch of noise, so that its features are of the size of a trained one's.
    """
    torch.manual_seed(0)
    family = importlib.import_module(f"sc2.backbones.{backbone.name}")
    body = family.library_name(**backbone.args) if hasattr(family, "library_name") else backbone.name
    given: dict[str, Any] = {"weights": None}
    if published_as != CLASSIFIER:
        # torchdistill's file of DeepLabv3 has the auxiliary head, as torchvision's own have.
        given |= {"weights_backbone": None} | ({"aux_loss": True} if "deeplab" in published_as else {})
    if published.source == "timm":
        network: nn.Module = timm.create_model(published.weights.partition(".")[0], pretrained=False)
    else:
        network = models.get_model(published_as.format(body), **given)
    _see_noise(network if published_as == CLASSIFIER else network.get_submodule("backbone"))
    return dict(network.state_dict())


def _see_noise(network: nn.Module) -> None:
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None  # the mean of all batches, of which there is one
    with torch.no_grad():
        network(torch.randn(2, 3, 224, 224))


def codec_state(url: str) -> dict[str, Tensor]:
    """Return random weights of the codec that CompressAI's zoo publishes at a URL.

    Raises:
        CheckpointError: It publishes none there.
    """
    torch.manual_seed(0)
    for name, metrics in zoo.model_urls.items():
        for quality, known in metrics.get("mse", {}).items():
            if known == url:
                return dict(zoo.model_architectures[name](*zoo.cfgs[name][quality]).state_dict())
    raise CheckpointError(f"CompressAI publishes no image codec at {url}")
