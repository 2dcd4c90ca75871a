"""The two halves of features in a codec: the teacher up to the cut, the codec, and the teacher after it.

`sc2.entropy.pictures` has the formula.
"""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sc2.backbones.base import StagedModel
from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.backbones.teacher import teacher_model
from sc2.data.image_codec import compress, decompress
from sc2.data.normalise import normalise, to_batch
from sc2.data.spec import PixelSpec
from sc2.entropy.pictures import SIDE_DTYPE, from_pictures, group_sizes, to_pictures
from sc2.errors import WireError
from sc2.split.content import HalfContent
from sc2.split.method import A, BuildContext, DeviceHalf, Export, ServerHalf
from sc2.split.wire import Payload


class CodecFeatureContent(HalfContent):
    """What both halves are built from.

    Attributes:
        format: Pillow's name of the codec's format.
        cut: The last stage on the device.
        backbone: The teacher's network.
        state: Weights of the half's stages.
    """

    format: str
    cut: str
    backbone: NetworkSpec
    state: dict[str, Tensor]


class CodecFeatureDeviceContent(CodecFeatureContent):
    """What the device half is built from.

    Attributes:
        quality: Quality of the codec, 1 … 100.
        input: How pixels become the network's input.
    """

    quality: int
    input: PixelSpec


class CodecFeatureServerContent(CodecFeatureContent):
    """What the server half is built from.

    Attributes:
        num_classes: Classes of the data set.
        feature_shape: C, h, w of the features at the cut.
    """

    num_classes: int
    feature_shape: tuple[int, int, int]


class CodecFeatureDevice(DeviceHalf):
    """The teacher up to the cut, and the codec."""

    def __init__(self, content: CodecFeatureDeviceContent) -> None:
        # The last layer is cut off, so any number of classes will do.
        self.network = build_network(content.backbone.body, 1).up_to(content.cut)
        self.network.load_state_dict(content.state)
        self.network.eval().requires_grad_(False)
        self.tables = {}
        self.input = content.input
        self.format = content.format
        self.quality = content.quality

    def analyse(self, pixels: np.ndarray) -> np.ndarray:
        """Return the features, float32 [C, h, w], of one image, uint8 [H, W, 3]."""
        assert self.network is not None
        with torch.no_grad():
            features: np.ndarray = self.network(normalise(to_batch(pixels), self.input))[0].numpy()
        return features

    def code(self, latent: np.ndarray) -> Payload:
        """Compress features [C, h, w]: minima and maxima first, then one file per group of channels."""
        pictures, bounds = to_pictures(latent)
        files = [compress(Image.fromarray(picture), self.format, {"quality": self.quality}) for picture in pictures]
        return Payload((bounds.tobytes(), *files), ())


class CodecFeatureServer(ServerHalf):
    """The codec, and the teacher after the cut."""

    def __init__(self, content: CodecFeatureServerContent) -> None:
        self.network = build_network(content.backbone, content.num_classes).after(content.cut)
        self.network.load_state_dict(content.state)
        self.network.eval().requires_grad_(False)
        self.channels, self.height, self.width = content.feature_shape
        self.format = content.format

    def decode(self, payload: Payload) -> Tensor:
        """Return the features [1, C, h, w]."""
        sizes = group_sizes(self.channels)
        if len(payload.streams) != 1 + len(sizes) or payload.shape:
            raise WireError(
                f"{self.channels} channels are sent as minima and maxima and {len(sizes)} pictures without a shape, "
                f"not as {len(payload.streams)} streams"
            )
        bounds = self._bounds(payload.streams[0], len(sizes))
        extent = (self.width, self.height)
        pictures = [
            decompress(stream, self.format, extent, "RGB" if size == 3 else "L")
            for stream, size in zip(payload.streams[1:], sizes, strict=True)
        ]
        return torch.from_numpy(from_pictures(pictures, bounds)).unsqueeze(0)

    @staticmethod
    def _bounds(data: bytes, groups: int) -> np.ndarray:
        if len(data) != 2 * groups * SIDE_DTYPE.itemsize:
            raise WireError(f"minima and maxima of {groups} groups of channels do not fit into {len(data)} bytes")
        bounds = np.frombuffer(data, dtype=SIDE_DTYPE).reshape(2, groups)
        with np.errstate(over="ignore", invalid="ignore"):
            ranges = bounds[1] - bounds[0]
        if not (np.isfinite(ranges).all() and (ranges >= 0).all()):
            raise WireError("a group of channels has a minimum above its maximum, or a range that is not finite")
        return bounds

    def answer(self, batch: Tensor) -> Any:
        """Return the task's output for features [B, C, h, w]."""
        with torch.no_grad():
            return self.network(batch)


def export_codec_feature(context: BuildContext[A], cut: str, image_format: str, quality: int) -> Export:
    """Split the teacher at a cut, with a codec in between.

    Args:
        context: Input and teacher.
        cut: The last stage on the device.
        image_format: Pillow's name of the codec's format.
        quality: Quality of the codec, 1 … 100.
    """
    teacher, backbone, side = teacher_model(context.teacher), context.teacher.backbone, context.input.square
    assert side is not None  # because of `one_size`
    front, rest = teacher.up_to(cut), teacher.after(cut)
    device = CodecFeatureDeviceContent(
        format=image_format,
        quality=quality,
        cut=cut,
        backbone=backbone,
        input=context.input.pixels,
        state=front.state_dict(),
    )
    server = CodecFeatureServerContent(
        format=image_format,
        cut=cut,
        backbone=backbone,
        num_classes=context.num_classes,
        feature_shape=_output_shape(front, side),
        state=rest.state_dict(),
    )
    return Export(device, server, front.state_dict())


def _output_shape(network: StagedModel, side: int) -> tuple[int, int, int]:
    with torch.no_grad():
        channels, height, width = network(torch.zeros(1, 3, side, side)).shape[1:]
    return channels, height, width
