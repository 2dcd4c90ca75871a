"""BPG as the wire of a whole network on the server: input compression (docs/papers.md#bpg)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from sc2.bpg import tools
from sc2.bpg.container import read_header
from sc2.bpg.decode import decode
from sc2.bpg.encode import encode
from sc2.data.limits import refuse_foreign_size
from sc2.data.normalise import normalise, to_batch
from sc2.errors import WireError
from sc2.methods.codec.halves import CodecServer, export_codec
from sc2.split.method import BuildContext, DeviceHalf, Export
from sc2.split.wire import Payload


class BpgDevice(DeviceHalf):
    """Compresses the resized image; there is no network on the device."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.qp = blob["qp"]
        self.libbpg = blob["codec"] == "libbpg"
        self.tables = {}

    def analyse(self, pixels: np.ndarray) -> np.ndarray:
        """Return the image as it is."""
        return pixels

    def code(self, latent: np.ndarray) -> Payload:
        """Compress the image; the file says its own size."""
        return Payload((tools.encode(latent, self.qp) if self.libbpg else encode(latent, self.qp),), ())


class BpgServer(CodecServer):
    """Decompresses the image and runs the whole teacher."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        super().__init__(blob)
        self.libbpg = blob["codec"] == "libbpg"

    def decode(self, payload: Payload) -> Tensor:
        """Return the decompressed image as the network's input [1, 3, H, W]."""
        if len(payload.streams) != 1 or payload.shape:
            raise WireError("a BPG payload is one stream without a shape")
        data = payload.streams[0]
        # Looked at before the pixels are decoded: a damaged header may claim any size.
        header = read_header(data)[0]
        refuse_foreign_size((header.width, header.height), self.input, "BPG")
        return normalise(to_batch(tools.decode(data) if self.libbpg else decode(data)), self.input)


def export_bpg(context: BuildContext) -> Export:
    """Return the halves of input compression with BPG; the point is its QP."""
    codec = context.arch["codec"]
    export = export_codec(context, "BPG")
    device = {"format": "BPG", "qp": int(context.point), "codec": codec}
    return replace(export, device=device, server={**export.server, "codec": codec})
