"""A whole classifier on the device: its best classes are sent, and the server only reads them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.data.normalise import normalise
from sc2.data.spec import PixelSpec
from sc2.errors import WireError
from sc2.split.batches import BatchedDevice, Outputs, Rounding
from sc2.split.content import HalfContent
from sc2.split.method import A, BuildContext, Export, ServerHalf
from sc2.split.wire import Payload


def label_bytes(num_classes: int) -> int:
    """Return the number of bytes of a class index: 1 for up to 256 classes, 2 for up to 65,536, and so on."""
    return max(1, ((num_classes - 1).bit_length() + 7) // 8)


class LabelContent(HalfContent):
    """What both halves are built from.

    Attributes:
        num_classes: Classes of the data set.
        num_labels: Number of classes sent per image.
    """

    num_classes: int
    num_labels: int


class WholeNetworkContent(LabelContent):
    """What the device half is built from.

    Attributes:
        backbone: The network.
        input: How pixels become its input.
        state: Its weights.
    """

    backbone: NetworkSpec
    input: PixelSpec
    state: dict[str, Tensor]


class WholeNetworkDevice(BatchedDevice):
    """The classifier; sends the indices of its best classes, the best one first."""

    def __init__(self, content: WholeNetworkContent) -> None:
        self.network = build_network(content.backbone, content.num_classes)
        self.network.load_state_dict(content.state)
        self.network.eval().requires_grad_(False)
        self.tables = {}
        self.input = content.input
        self.num_labels = content.num_labels
        self.width = label_bytes(content.num_classes)

    def outputs(self, images: Tensor) -> Outputs:
        """Return the logits [B, K]."""
        assert self.network is not None
        return (self.network(normalise(images, self.input)),)

    def chosen(self, outputs: Outputs, size: tuple[int, int], rounding: Rounding) -> list[list[int]]:
        """Return the classes with the largest logits of each image; ties go to the lower index."""
        (logits,) = outputs
        ordered, classes = logits.sort(dim=1, descending=True, stable=True)
        # Both logits of a pair may move. A network of one class has no pair.
        if logits.shape[1] > 1:
            rounding.notice(-ordered[:, : self.num_labels + 1].diff(dim=1) / 2)
        best: list[list[int]] = classes[:, : self.num_labels].tolist()
        return best

    def code(self, latent: Sequence[int]) -> Payload:
        """Write each index in as many bytes as the number of classes requires, lowest byte first."""
        return Payload((b"".join(label.to_bytes(self.width, "little") for label in latent),), ())


class LabelServer(ServerHalf):
    """Reads the classes; there is no network on the server.

    The logits are 0 for the first class sent, -1 for the second and so on, and -∞ for all classes that were not sent.
    """

    def __init__(self, content: LabelContent) -> None:
        self.network = nn.Identity()
        self.num_classes = content.num_classes
        self.num_labels = content.num_labels
        self.width = label_bytes(content.num_classes)

    def decode(self, payload: Payload) -> Tensor:
        """Return the logits [1, K]."""
        expected = self.num_labels * self.width
        if len(payload.streams) != 1 or payload.shape or len(payload.streams[0]) != expected:
            raise WireError(
                f"{self.num_labels} class indices are sent as one stream of {expected} bytes without a shape"
            )
        data = payload.streams[0]
        labels = [int.from_bytes(data[at : at + self.width], "little") for at in range(0, expected, self.width)]
        if max(labels) >= self.num_classes or len(set(labels)) < len(labels):
            raise WireError(f"{labels} are not distinct classes of 0 … {self.num_classes - 1}")
        logits = torch.full((1, self.num_classes), -torch.inf)
        logits[0, labels] = -torch.arange(float(len(labels)))
        return logits

    def answer(self, batch: Tensor) -> Tensor:
        """Return the logits [B, K] unchanged."""
        logits: Tensor = self.network(batch)
        return logits


def export_whole_network(
    context: BuildContext[A], backbone: NetworkSpec, state: Mapping[str, Tensor], num_labels: int
) -> Export:
    """Put a classifier on the device.

    Args:
        context: Input and classes.
        backbone: The network.
        state: Its weights.
        num_labels: Number of classes to send; limited to the number of classes.
    """
    server = LabelContent(num_classes=context.num_classes, num_labels=min(num_labels, context.num_classes))
    device = WholeNetworkContent(**dict(server), backbone=backbone, input=context.input.pixels, state=dict(state))
    return Export(device, server, dict(state))
