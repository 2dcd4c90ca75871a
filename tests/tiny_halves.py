"""Both halves of any method at its smallest, untrained, and payloads with symbols of every kind."""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sc2.methods import base_of, get_method
from sc2.methods.gained.halves import GainedDevice
from sc2.methods.learned_codec.halves import Analysed, LearnedCodecDevice
from sc2.methods.reduction.affine import quantize
from sc2.methods.reduction.halves import QuantizedDevice
from sc2.methods.unit.halves import UnitDevice
from sc2.split.method import DeviceHalf, Export, ServerHalf
from sc2.split.wire import Payload
from tests.contract.conftest import TINY_PARAMS, Case, make_case, phase_recipe, points, teacher_of

CROP = {"resize": 32, "crop": 32, "interpolation": "bilinear", "mean": [0.5] * 3, "std": [0.25] * 3}
WHOLE = CROP | {"fit": "whole", "resize": 64, "longest": 128, "multiple": 64, "crop": None}
SMALLEST: dict[str, dict[str, Any]] = {
    "student": {"encoder_channels": [4, 3, 2], "hyper_channels": 2},
    "learned_codec": {"channels": [[2, 3]]},
    "gained": {"width": 4, "encoder_channels": [4, 3, 2], "latent_channels": 2},
}
SMALLEST_POINTS = {"channel_reduction_quantization": "2"}


@cache
def tiny_export(name: str) -> Export:
    """Return both halves of an untrained method; its hyper-synthesis gives scales and means of all sizes."""
    return tiny_case(name).export()


def tiny_case(name: str, *, teacher_width: int = 8, spec: dict[str, Any] | None = None) -> Case:
    """Return an untrained method at its smallest, with a teacher of a width, for another input where one is given."""
    method = get_method(name)
    own = TINY_PARAMS.get(base_of(name), {})
    small = {key: value for key, value in SMALLEST.get(method.family, {}).items() if key in own}
    spec = spec or (WHOLE if method.family == "learned_codec" else CROP)
    point = SMALLEST_POINTS.get(name) or points(method, "classification")[0]
    case = make_case(name, point, spec, teacher_of("classification", teacher_width), small)
    if method.phases():
        torch.manual_seed(0)
        case.state = _lively(phase_recipe(case, method.phases()[-1], seed=0).model.state_dict())
    return case


def tiny_halves(name: str) -> tuple[DeviceHalf, ServerHalf]:
    """Return a device and a server half of `tiny_export`."""
    export, method = tiny_export(name), get_method(name)
    return method.load_device(export.device.plain()), method.load_server(export.server.plain())


def tiny_payload(name: str, device: DeviceHalf, seed: int = 0) -> Payload:
    """Return a payload of a method whose symbols are drawn, some of them far outside every table.

    Methods without symbols of their own code an image.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int, spread: float = 3.0) -> Tensor:
        latent = spread * torch.randn(shape, generator=generator)
        latent.view(-1)[:: max(7, latent.numel() // 5)] *= 100
        return latent

    if isinstance(device, UnitDevice):
        return device.code(drawn(*_latent_shape(device)).round().int())
    if isinstance(device, GainedDevice):
        channels = len(device.tables["cdf"]) // len(device.rates)
        return device.code(drawn(1, channels, 3, 4).round().int())
    if isinstance(device, QuantizedDevice):
        return device.code(quantize(drawn(*_latent_shape(device))))
    if get_method(name).family == "learned_codec":
        assert isinstance(device, LearnedCodecDevice)
        return device.code(Analysed(device.coder.symbols(drawn(1, 3, 4, 8)), 64, 128))
    if get_method(name).family == "student":
        latent: Any = device
        channels = _latent_shape(device)[1]
        return device.code((latent.coder.symbols(drawn(1, channels, 3, 4)), (3, 4)))
    pixels = torch.randint(0, 256, (8, 8, 3), generator=generator, dtype=torch.uint8).numpy()
    return device.encode(np.ascontiguousarray(pixels.repeat(4, axis=0).repeat(4, axis=1)))


def _latent_shape(device: Any) -> tuple[int, ...]:
    network: Any = device.network if isinstance(device, QuantizedDevice | UnitDevice) else device.encoder
    with torch.no_grad():
        return tuple(network(torch.zeros(1, 3, 32, 32)).shape)


def _lively(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give networks behind a hyperprior's z weights that matter, and priors that count symbols counts of them."""
    for name, value in state.items():
        if any(part in name for part in ("hyper_synthesis", "h_s", "entropy_parameters", "context_prediction.weight")):
            state[name] = 2 * value if value.ndim > 1 else value + 4 * torch.rand_like(value)
        if name == "prior.counts":
            middle, columns = value.shape[2] // 2, torch.arange(value.shape[2])
            seen = (columns - middle).abs() < 3 + torch.arange(value.shape[1])[:, None]
            state[name] = torch.randint_like(value, 0, 50) * seen
        if name == "prior.neighbour_counts":
            middle, columns = (value.shape[1] - 1) // 2, torch.arange(value.shape[1])
            seen = (columns - middle).abs() < 2 + torch.arange(len(value))[:, None] % 5
            state[name] = torch.randint_like(value, 0, 50) * seen
        if name == "counts":
            seen = torch.arange(value.shape[1]) < 5 + torch.arange(len(value))[:, None]
            state[name] = torch.randint_like(value, 0, 50) * seen
    return state
