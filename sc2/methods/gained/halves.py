"""The two halves of a network with gains: each can code and decode at every rate of the device.

On the wire is the rate's step beside the latent's size: one server half decodes them all.
"""

from collections import OrderedDict
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.base import stage_channels
from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.data.limits import largest_latent, refuse_foreign_latent
from sc2.data.normalise import normalise
from sc2.data.spec import PixelSpec
from sc2.entropy.coder import TableCoder
from sc2.entropy.counts import tables_of_counts
from sc2.entropy.tables import Integers, rows_in_order
from sc2.errors import WireError
from sc2.methods.gained.network import GainedNetwork
from sc2.methods.gained.params import LARGEST_SYMBOL, A, num_steps
from sc2.methods.gained.rates import RateScale, rate_weights
from sc2.methods.gained.transforms import Transforms
from sc2.split.batches import BatchedDevice, Outputs, Rounding
from sc2.split.content import HalfContent
from sc2.split.method import BuildContext, Export, ServerHalf
from sc2.split.wire import Payload


class GainedContent(HalfContent):
    """What either half is built from.

    Attributes:
        rates: Number of trained rates, R.
        between: Rates between two of them.
        channels: Channels of the latent, C.
        state: Weights of the half's networks, and the gains.
        tables: `cdf`, `cdf_length` and `offset` of the coder: C rows for each rate of the device.
    """

    rates: int
    between: int
    channels: int
    state: dict[str, Tensor]
    tables: dict[str, Tensor]

    @property
    def steps(self) -> int:
        """Rates of the device."""
        return num_steps(self.rates, self.between)


class GainedDeviceContent(GainedContent):
    """What the device half is built from.

    Attributes:
        encoder: Arguments of the encoder.
        input: How pixels become its input.
        step: The rate at which it sends.
    """

    encoder: dict[str, Any]
    input: PixelSpec
    step: int


class GainedServerContent(GainedContent):
    """What the server half is built from.

    Attributes:
        decoder: Arguments of the decoder.
        cut: Stage whose output the decoder reproduces.
        largest: Largest short and long side of the latent.
        backbone: The whole task model.
        num_classes: Number of its classes.
    """

    decoder: dict[str, Any]
    cut: str
    largest: tuple[int, int]
    backbone: NetworkSpec
    num_classes: int


class GainedDevice(BatchedDevice):
    """Encoder, gains and coder."""

    def __init__(self, content: GainedDeviceContent, transforms: Transforms[Any]) -> None:
        encoder = transforms.encoder(content.encoder, content.rates)
        gain = RateScale(torch.zeros(content.rates, content.channels))
        self.network: nn.Module = nn.ModuleDict({"encoder": encoder, "gain": gain})
        self.network.load_state_dict(content.state)
        self.network.eval().requires_grad_(False)
        self._encoder, self._gain = encoder, gain
        self._positions = _positions(content)
        self.rates = tuple(f"{float(step) / (content.between + 1):g}" for step in range(content.steps))
        self.step = content.step
        self.tables = content.tables
        self.coder = TableCoder.of(content.tables)
        self.input = content.input

    def at(self, rate: str) -> "GainedDevice":
        """Return the same half at another of its rates."""
        other = copy(self)
        other.step = self.rates.index(rate)
        return other

    def outputs(self, images: Tensor) -> Outputs:
        """Return the latent [B, C, h, w] in units of a symbol."""
        rates = self._positions[self.step : self.step + 1]
        return (self._gain(self._encoder(normalise(images, self.input), rates), rates),)

    def chosen(self, outputs: Outputs, size: tuple[int, int], rounding: Rounding) -> list[Tensor]:
        """Return the symbols of each image, int32 [1, C, h, w]."""
        return list(rounding(*outputs).int().split(1))

    def code(self, latent: Tensor) -> Payload:
        """Range-code symbols [1, C, h, w]; the shape on the wire is (step of the rate, h, w)."""
        return Payload(
            (self.coder.encode(*self._flat(latent)),), (self.step, int(latent.shape[2]), int(latent.shape[3]))
        )

    def bits(self, latent: Tensor) -> float:
        """Return the ideal code length of symbols [1, C, h, w] under the tables of the rate (bits)."""
        return self.coder.bits(*self._flat(latent))

    def _flat(self, symbols: Tensor) -> tuple[Integers, Integers]:
        return symbols.numpy().reshape(-1), _tables(self.step, symbols.shape[1], symbols.shape[2] * symbols.shape[3])


class GainedServer(ServerHalf):
    """Coder, gains, decoder and the rest of the backbone."""

    def __init__(self, content: GainedServerContent, transforms: Transforms[Any]) -> None:
        backbone = build_network(content.backbone, content.num_classes)
        decoder = transforms.decoder(content.decoder, stage_channels(backbone, content.cut))
        parts: dict[str, nn.Module] = {"decoder": decoder, "tail": backbone.after(content.cut)}
        self.network = nn.Sequential(OrderedDict(parts))
        gain = RateScale(torch.zeros(content.rates, content.channels))
        nn.ModuleDict({"network": self.network, "gain": gain}).load_state_dict(content.state)
        self.network.eval().requires_grad_(False)
        with torch.no_grad():
            self._factors = gain.factors(_positions(content))
        self.coder = TableCoder.of(content.tables)
        self.channels, self.steps, self.largest = content.channels, content.steps, content.largest

    def decode(self, payload: Payload) -> Tensor:
        """Return y_hat [1, C, h, w]."""
        if len(payload.shape) != 3 or len(payload.streams) != 1:
            raise WireError("a payload of this method has one stream, and three integers: rate, height and width")
        step, height, width = payload.shape
        if step >= self.steps:
            raise WireError(f"the payload has the rate {step}, but this model has rates 0 … {self.steps - 1}")
        refuse_foreign_latent((height, width), self.largest)
        indexes = _tables(step, self.channels, height * width)
        symbols = self.coder.decode(payload.streams[0], indexes, payload.version)
        return torch.from_numpy(symbols).reshape(1, self.channels, height, width) / self._factors[step]

    def answer(self, batch: Tensor) -> Any:
        """Return the task's output for y_hat [B, C, h, w], at any rates."""
        with torch.no_grad():
            return self.network(batch)


def split_gained(network: GainedNetwork, context: BuildContext[A], transforms: Transforms[A]) -> Export:
    """Split a trained network after the coder, with tables of the counted symbols."""
    arch = context.arch
    tables = tables_of_counts(network.prior.counts.flatten(0, 1), first=-LARGEST_SYMBOL)
    gain = {f"gain.{name}": value for name, value in network.gain.state_dict().items()}
    encoder = {f"encoder.{name}": value for name, value in network.encoder.state_dict().items()}
    parts = {"decoder": network.decoder, "tail": network.tail}
    rest = {f"network.{part}.{name}": value for part, own in parts.items() for name, value in own.state_dict().items()}
    common: dict[str, Any] = {
        **{"rates": len(arch.prices), "between": arch.between, "tables": tables},
        "channels": transforms.latent_channels(arch),
    }
    device = GainedDeviceContent(
        **common,
        encoder=transforms.encoder_args(arch),
        input=context.input.pixels,
        step=arch.step_of(context.point),
        state=encoder | gain,
    )
    # The size of the latent is the same at any rate.
    first = rate_weights(torch.tensor([0.0]), len(arch.prices))
    server = GainedServerContent(
        **common,
        decoder=transforms.decoder_args(arch),
        cut=arch.cut,
        largest=largest_latent(_AtOneRate(network.encoder.eval(), first), context.input),
        backbone=context.teacher.backbone,
        num_classes=context.num_classes,
        state=rest | gain,
    )
    return Export(device, server, encoder | gain | {f"tables.{name}": table for name, table in tables.items()})


class _AtOneRate(nn.Module):
    """An encoder that is called with an image alone."""

    def __init__(self, encoder: nn.Module, rates: Tensor) -> None:
        super().__init__()
        self.encoder, self.rates = encoder, rates

    def forward(self, x: Tensor) -> Tensor:
        """Return the latent of images x [B, 3, H, W]."""
        y: Tensor = self.encoder(x, self.rates)
        return y


def _positions(content: GainedContent) -> Tensor:
    """Return the weights of the device's rates, [steps, R]."""
    return rate_weights(torch.linspace(0, content.rates - 1, content.steps), content.rates)


def _tables(step: int, channels: int, positions: int) -> Integers:
    return rows_in_order(range(step * channels, (step + 1) * channels), positions)
