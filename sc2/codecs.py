"""Image codecs of Pillow as the wire of a whole network on the server: input compression.

Source: docs/papers.md#codec-input.
"""

import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from torch import Tensor, no_grad

from sc2.backbones.base import build_backbone
from sc2.data.limits import refuse_foreign_size
from sc2.data.normalise import normalise, to_batch
from sc2.errors import WireError
from sc2.methods.base import BuildContext, DeviceHalf, Export, ServerHalf
from sc2.wire import Payload


def compress(image: Image.Image, image_format: str, options: Mapping[str, Any]) -> bytes:
    """Return the file of an image in one of Pillow's formats; `options` go to Pillow's encoder."""
    buffer = io.BytesIO()
    image.save(buffer, format=image_format, **options)
    return buffer.getvalue()


def decompress(
    data: bytes, image_format: str, size: tuple[int, int] | Callable[[tuple[int, int]], None], mode: str = "RGB"
) -> np.ndarray:
    """Return the pixels of a file, uint8 [H, W, 3] (`mode` RGB) or [H, W] (`mode` L).

    Args:
        data: One whole file.
        image_format: Pillow's name of the only format that is accepted.
        size: (width, height) that the image must have, pixels; or what raises a WireError for a wrong one.
        mode: `RGB` or `L`; another one is converted.

    Raises:
        WireError: The file is damaged, of another format, or of another size.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=[image_format])
        # Looked at before the pixels are decoded: a damaged header may claim any size.
        if callable(size):
            size(image.size)
        elif image.size != size:
            raise WireError(f"the {image_format} image is {image.size}, the network takes {size}")
        return np.asarray(image.convert(mode))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise WireError(f"the {image_format} stream cannot be decoded: {error}") from error


class CodecDevice(DeviceHalf):
    """Compresses the resized image; there is no network on the device."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.format = blob["format"]
        self.options = blob["options"]
        self.tables = {}

    def analyse(self, pixels: np.ndarray) -> Image.Image:
        """Return the image as it is."""
        return Image.fromarray(pixels)

    def code(self, latent: Image.Image) -> Payload:
        """Compress the image; the codec's file says its own size."""
        return Payload((compress(latent, self.format, self.options),), ())


class CodecServer(ServerHalf):
    """Decompresses the image and runs the whole reference model."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.network = build_backbone(blob["backbone"], blob["num_classes"])
        self.network.load_state_dict(blob["state"])
        self.network.eval().requires_grad_(False)
        self.format = blob["format"]
        self.input = blob["input"]

    def decode(self, payload: Payload) -> Tensor:
        """Return the decompressed image as the network's input [1, 3, H, W]."""
        if len(payload.streams) != 1 or payload.shape:
            raise WireError(f"a {self.format} payload is one stream without a shape")
        expected = partial(refuse_foreign_size, spec=self.input, what=self.format)
        pixels = decompress(payload.streams[0], self.format, expected)
        return normalise(to_batch(pixels), self.input)

    def answer(self, batch: Tensor) -> Any:
        """Return the task's output for images [B, 3, H, W]."""
        with no_grad():
            return self.network(batch)


def export_codec(context: BuildContext, image_format: str, **options: Any) -> Export:
    """Return the halves of input compression with one of Pillow's formats.

    Args:
        context: Input and reference model.
        image_format: Pillow's name of the format.
        options: Of Pillow's encoder, e.g. `quality`; what is not named is Pillow's default.
    """
    device = {"format": image_format, "options": options}
    server = {
        "format": image_format,
        "input": dict(context.input),
        "backbone": dict(context.teacher["backbone"]),
        "num_classes": len(context.teacher["classes"]),
        "state": context.teacher["state"],
    }
    return Export(device, server, {})
