"""A whole classifier on the device: what goes over the link is its answer, and the server only reads it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sc2.backbones.build import build_network
from sc2.data.normalise import normalise, to_batch
from sc2.errors import WireError
from sc2.split.method import BuildContext, DeviceHalf, Export, ServerHalf
from sc2.split.wire import Payload


def label_bytes(num_classes: int) -> int:
    """Return how many bytes one class index takes: 1 for up to 256 classes, 2 for up to 65,536, and so on."""
    return max(1, ((num_classes - 1).bit_length() + 7) // 8)


class WholeNetworkDevice(DeviceHalf):
    """The classifier; sends the indices of its best classes, the best one first."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.network = build_network(blob["backbone"], blob["num_classes"])
        self.network.load_state_dict(blob["state"])
        self.network.eval().requires_grad_(False)
        self.tables = {}
        self.input = blob["input"]
        self.num_labels = blob["num_labels"]
        self.width = label_bytes(blob["num_classes"])

    def analyse(self, pixels: np.ndarray) -> list[int]:
        """Return the classes with the largest logits; of equal ones the lower index comes first."""
        assert self.network is not None
        with torch.no_grad():
            logits = self.network(normalise(to_batch(pixels), self.input))[0]
        best: list[int] = logits.argsort(descending=True, stable=True)[: self.num_labels].tolist()
        return best

    def code(self, latent: Sequence[int]) -> Payload:
        """Write each index in as many bytes as the number of classes needs, lowest byte first."""
        return Payload((b"".join(label.to_bytes(self.width, "little") for label in latent),), ())


class LabelServer(ServerHalf):
    """Reads the answer; there is no network on the server.

    Logits are 0 for the first class sent, -1 for the second and so on, and -∞ for every class that was not sent.
    """

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.network = nn.Identity()
        self.num_classes = blob["num_classes"]
        self.num_labels = blob["num_labels"]
        self.width = label_bytes(blob["num_classes"])

    def decode(self, payload: Payload) -> Tensor:
        """Return the logits [1, classes]."""
        expected = self.num_labels * self.width
        if len(payload.streams) != 1 or payload.shape or len(payload.streams[0]) != expected:
            raise WireError(f"{self.num_labels} class indices come as one stream of {expected} bytes without a shape")
        data = payload.streams[0]
        labels = [int.from_bytes(data[at : at + self.width], "little") for at in range(0, expected, self.width)]
        if max(labels) >= self.num_classes or len(set(labels)) < len(labels):
            raise WireError(f"{labels} are not different classes of 0 … {self.num_classes - 1}")
        logits = torch.full((1, self.num_classes), -torch.inf)
        logits[0, labels] = -torch.arange(float(len(labels)))
        return logits

    def answer(self, batch: Tensor) -> Tensor:
        """Return the logits [B, classes] as they are."""
        logits: Tensor = self.network(batch)
        return logits


def export_whole_network(
    context: BuildContext, backbone: Mapping[str, Any], state: Mapping[str, Tensor], num_labels: int
) -> Export:
    """Put a classifier on the device.

    Args:
        context: Input and classes.
        backbone: The network, `name` and `args`.
        state: Its weights.
        num_labels: How many classes are sent, at most all.
    """
    num_classes = len(context.teacher["classes"])
    answer = {"num_classes": num_classes, "num_labels": min(num_labels, num_classes)}
    device = {**answer, "backbone": dict(backbone), "input": context.pixels, "state": dict(state)}
    return Export(device, answer, dict(state))
