"""Image codecs of Pillow as the wire of a whole network on the server: input compression.

Source: docs/papers.md#codec-input.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor, no_grad

from sc2.backbones.build import build_network
from sc2.data.image_codec import compress, decompress
from sc2.data.limits import refuse_foreign_size
from sc2.data.normalise import normalise, to_batch
from sc2.errors import WireError
from sc2.split.method import BuildContext, DeviceHalf, Export, ServerHalf
from sc2.split.wire import Payload


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
    """Decompresses the image and runs the whole teacher."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.network = build_network(blob["backbone"], blob["num_classes"])
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
        context: Input and teacher.
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
