"""The two halves of input compression with a learned codec: padding, g_a and coder; coder, g_s, cropping, teacher."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.data.limits import refuse_foreign_size
from sc2.data.normalise import normalise
from sc2.data.spec import InputSpec
from sc2.errors import WireError
from sc2.layers.prior_content import DevicePrior, PriorContent
from sc2.methods.learned_codec.images import IMAGES_AT_ONCE, STRIDE, latent_side, pad, unpad
from sc2.methods.learned_codec.priors import PRIORS
from sc2.methods.learned_codec.transforms import analysis, synthesis
from sc2.split.batches import BatchedDevice, Outputs, Rounding, by_size
from sc2.split.content import HalfContent
from sc2.split.method import ServerHalf
from sc2.split.wire import Payload


class LearnedCodecContent(HalfContent):
    """What both halves are built from.

    Attributes:
        codec: CompressAI's class name.
        n: Width of the transforms, N.
        m: Channels of the latent y, M.
        state: On the device the weights of g_a; on the server those of g_s and, as `reference`, of the teacher.
        prior: The half's end of the entropy model.
    """

    codec: str
    n: int
    m: int
    state: dict[str, Tensor]


class LearnedCodecDeviceContent(LearnedCodecContent):
    """What the device half is built from."""

    prior: DevicePrior


class LearnedCodecServerContent(LearnedCodecContent):
    """What the server half is built from, including the benchmark's input and the teacher's network and classes."""

    input: InputSpec
    backbone: NetworkSpec
    num_classes: int
    prior: PriorContent


@dataclass(frozen=True)
class Analysed:
    """The input of the coder: the symbols of an image, in the form of its prior, and its height and width (pixels)."""

    symbols: Any
    height: int
    width: int


class LearnedCodecDevice(BatchedDevice):
    """g_a and the device's end of the entropy model."""

    def __init__(self, content: LearnedCodecDeviceContent) -> None:
        self.encoder = analysis(content.n, content.m)
        self.encoder.load_state_dict(content.state)
        self.coder = PRIORS[content.codec].encoder(content.prior)
        self.tables = self.coder.tables
        self.network = nn.ModuleDict({"encoder": self.encoder})
        if self.coder.network is not None:
            self.network["prior"] = self.coder.network
        self.network.eval().requires_grad_(False)

    def outputs(self, images: Tensor) -> Outputs:
        """Return y [B, M, h, w], and what h_a makes of it, for images of any size."""
        return self.coder.outputs(self.encoder(pad(images.float() / 255)))

    def chosen(self, outputs: Outputs, size: tuple[int, int], rounding: Rounding) -> list[Analysed]:
        """Return the symbols of each image, with its size."""
        return [Analysed(symbols, *size) for symbols in self.coder.chosen(outputs, rounding)]

    def code(self, latent: Analysed) -> Payload:
        """Range-code the symbols; the shape on the wire is the image's (H, W)."""
        return Payload((self.coder.encode(latent.symbols),), (latent.height, latent.width))

    def bits(self, latent: Analysed) -> float:
        """Return the ideal code length of the result of `analyse` under the tables (bits)."""
        return self.coder.bits(latent.symbols)


class LearnedCodecServer(ServerHalf):
    """The entropy model, g_s and the whole teacher."""

    def __init__(self, content: LearnedCodecServerContent) -> None:
        self.coder = PRIORS[content.codec].decoder(content.prior)
        self.synthesis = synthesis(content.n, content.m)
        self.teacher = build_network(content.backbone, content.num_classes)
        # These names prefix the weights in the file of a server half.
        self.network = nn.ModuleDict({"g_s": self.synthesis, "reference": self.teacher})
        self.network.load_state_dict(content.state)
        self.network.eval().requires_grad_(False)
        self.input = content.input

    def decode(self, payload: Payload) -> Tensor:
        """Return y_hat [1, M, h, w]; the image must have a size that is possible for the network's input."""
        return self.decode_all([payload])[0]

    def decode_all(self, payloads: Sequence[Payload]) -> list[Tensor]:
        """Return y_hat [1, M, h, w] of each payload; neighbours of one size are decoded together."""
        for payload in payloads:
            if len(payload.shape) == 2:
                refuse_foreign_size((payload.shape[1], payload.shape[0]), self.input, "sent")
        return by_size(payloads, _latent_size, self.coder)

    def receive(self, payload: Payload) -> Tensor:
        """Return y_hat [1, M, h, w] for an image of any size.

        Raises:
            WireError: The payload cannot be decoded.
        """
        return self.coder.decode(payload.streams, *_latent_size(payload), payload.version)

    def reconstruct(self, latent: Tensor, height: int, width: int) -> Tensor:
        """Return images [B, 3, height, width] in [0, 1] for latents [B, M, h, w]."""
        with torch.no_grad():
            parts = [unpad(self.synthesis(part), height, width) for part in latent.split(IMAGES_AT_ONCE)]
            return torch.cat(parts).clamp(0, 1)

    def _size(self, batch: Tensor) -> tuple[int, int]:
        """Return height and width of the images of a batch of latents [B, M, h, w]."""
        if self.input.square is not None:
            return self.input.square, self.input.square
        # Already multiples of 64 (`export.split` ensures it): there was nothing to pad.
        return STRIDE * batch.shape[2], STRIDE * batch.shape[3]

    def answer(self, batch: Tensor) -> Any:
        """Return the task's output for latents [B, M, h, w] of images of the benchmark's size."""
        images = self.reconstruct(batch, *self._size(batch))
        with torch.no_grad():
            return self.teacher(normalise(images * 255, self.input))


def _latent_size(payload: Payload) -> tuple[int, int]:
    """Return height and width of the latent."""
    if len(payload.shape) != 2 or not all(payload.shape):
        raise WireError("a payload of a learned codec has two shape integers, the image's height and width")
    height, width = payload.shape
    return latent_side(height), latent_side(width)
