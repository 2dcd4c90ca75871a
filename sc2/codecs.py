"""Image codecs of Pillow as the wire of a whole network on the server: input compression (spec 1.2)."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from torch import Tensor, no_grad

from sc2.backbones.base import build_backbone
from sc2.data.normalise import normalise, to_batch
from sc2.errors import WireError
from sc2.methods.base import BuildContext, DeviceHalf, Export, ServerHalf
from sc2.wire import Payload


class CodecDevice(DeviceHalf):
    """Compresses the resized image; there is no network on the device."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.format = blob["format"]
        self.quality = blob["quality"]
        self.tables = {}

    def analyse(self, pixels: np.ndarray) -> Image.Image:
        """Return the image as it is."""
        return Image.fromarray(pixels)

    def code(self, latent: Image.Image) -> Payload:
        """Compress the image with Pillow's defaults but for the quality; the codec's file says its own size."""
        buffer = io.BytesIO()
        latent.save(buffer, format=self.format, quality=self.quality)
        return Payload((buffer.getvalue(),), ())


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
        try:
            image = Image.open(io.BytesIO(payload.streams[0]), formats=[self.format])
            # Looked at before the pixels are decoded: a damaged header may claim any size.
            expected = (self.input["crop"], self.input["crop"])
            if image.size != expected:
                raise WireError(f"the {self.format} image is {image.size}, the network takes {expected}")
            pixels = np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
            raise WireError(f"the {self.format} stream cannot be decoded: {error}") from error
        return normalise(to_batch(pixels), self.input)

    def answer(self, batch: Tensor) -> Tensor:
        """Return logits [B, classes] for images [B, 3, H, W]."""
        with no_grad():
            logits: Tensor = self.network(batch)
        return logits


def export_codec(context: BuildContext, image_format: str) -> Export:
    """Return the halves of input compression with one of Pillow's formats; the point is its quality."""
    device = {"format": image_format, "quality": int(context.point)}
    server = {
        "format": image_format,
        "input": dict(context.input),
        "backbone": dict(context.teacher["backbone"]),
        "num_classes": len(context.teacher["classes"]),
        "state": context.teacher["state"],
    }
    return Export(device, server, {})
