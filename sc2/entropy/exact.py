"""A small convolutional network in integer arithmetic, with bit-exact results on every machine.

Both ends of the link derive the entropy coder's tables from such a network. In floating point, the order of a sum,
and so its result, depends on the machine, the number of threads and the convolution algorithm; a single scale on the
other side of a table's threshold makes everything after it undecodable (Ballé et al., Integer networks for data
compression, ICLR 2019). Here every value is an integer: activations in units of 2^-12, weights in units of a power of
two per layer, with at most 15 bits. They are stored as float64, in which sums of integers below 2^53 are exact in any
order. Inputs are clamped before each layer so that no sum can reach 2^48; the remaining bits leave room for algorithms
with intermediate fractions (Winograd, FFT), whose results round to the exact integer.

    sum = Σ w·x + b        x ← clamp(⌊(sum + 2^(s-1)) / 2^s⌋)        LeakyReLU: x < 0 → ⌊x · m / 2^16⌋
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sc2.entropy.exact_arrays import FRACTION_BITS, ONE, SLOPE_BITS, VALUE_LIMIT
from sc2.errors import CheckpointError

_WEIGHT_BITS = 15
_SUM_LIMIT = 2**48
_MOST_SHIFT = 24
_LEAST_INPUT = 16 * ONE
_GEOMETRY = ("stride", "padding", "dilation")


def exact_layers(network: nn.Sequential) -> dict[str, dict[str, Any]]:
    """Return a network's layers in integers, as plain values and tensors for `ExactNetwork`.

    Args:
        network: Conv2d and ConvTranspose2d (any kernel, stride, zero padding and groups), ReLU and LeakyReLU.

    Returns:
        Layers by position: `kind`; for convolutions also `weight` int16 (in the layer's shape), `bias` int64 [out],
        `shift`, `limit` and the geometry; for activations `slope` in units of 2^-16.

    Raises:
        CheckpointError: A layer is of another kind, or has weights that are not finite or so large that inputs within
            ±16 could overflow a sum.
    """
    return {str(position): _layer(layer, position) for position, layer in enumerate(network)}


class ExactNetwork(nn.Module):
    """Runs the layers of `exact_layers`; input and output are integers in units of 2^-12, stored as float64.

    Input [B, C, H, W]; values beyond ±2^24 (or a layer's lower limit) are clamped. The int16 weights are parameters, so
    that they are counted, but have no gradients.
    """

    def __init__(self, layers: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        ordered = [layers[str(position)] for position in range(len(layers))]
        self.layers = nn.Sequential(*(_KINDS[layer["kind"]](layer) for layer in ordered))

    def forward(self, x: Tensor) -> Tensor:
        """Return the output, float64 [B, T, h, w], for integers [B, C, H, W]; bit-exact on every machine."""
        result: Tensor = self.layers(x.double().clamp(-VALUE_LIMIT, VALUE_LIMIT))
        return result

    def vectors(self, x: Tensor) -> Tensor:
        """Return outputs float64 [N, T] for inputs [N, K] of one position each: the same integers, no convolutions.

        Args:
            x: Integers; K are the values under the kernel of the first layer, channel by channel. The other layers see
                the one position that it leaves, and no layer pads or has groups.
        """
        x = x.double().clamp(-VALUE_LIMIT, VALUE_LIMIT)
        for layer in self.layers:
            x = layer.vectors(x)  # type: ignore[operator]  # modules are looked up by name
        return x

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the output for an input's height and width; below 1 if the input is too small."""
        return self._side(height, 0), self._side(width, 1)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width (at least 1) of the smallest input whose output covers height × width."""
        return self._smallest(height, 0), self._smallest(width, 1)

    def _side(self, side: int, dimension: int) -> int:
        for layer in self.layers:
            side = layer.side(side, dimension)  # type: ignore[operator]  # modules are looked up by name
        return side

    def _smallest(self, side: int, dimension: int) -> int:
        smallest = 1
        while self._side(smallest, dimension) < side:
            smallest += 1
        return smallest


def fixed_point(values: Tensor) -> Tensor:
    """Return real values, of any shape, rounded to integers in units of 2^-12, int64 of the same shape."""
    return torch.round(values.detach().double() * ONE).long()


def _layer(layer: nn.Module, position: int) -> dict[str, Any]:
    if isinstance(layer, nn.ReLU):
        return {"kind": "leaky_relu", "slope": 0}
    if isinstance(layer, nn.LeakyReLU):
        if not 0 <= layer.negative_slope <= 1:
            raise CheckpointError(f"layer {position}: a slope of {layer.negative_slope} has no exact form, only 0 … 1")
        return {"kind": "leaky_relu", "slope": round(layer.negative_slope * 2**SLOPE_BITS)}
    if isinstance(layer, nn.ConvTranspose2d):
        return _convolution(layer, position) | {"output_padding": list(layer.output_padding)}
    if isinstance(layer, nn.Conv2d) and not isinstance(layer.padding, str) and layer.padding_mode == "zeros":
        return _convolution(layer, position)
    allowed = "Conv2d and ConvTranspose2d with zero padding, ReLU, LeakyReLU"
    raise CheckpointError(f"layer {position}, {layer}, has no exact form; supported are: {allowed}")


def _convolution(layer: nn.Conv2d | nn.ConvTranspose2d, position: int) -> dict[str, Any]:
    weight = layer.weight.detach().double()
    bias = weight.new_zeros(layer.out_channels) if layer.bias is None else layer.bias.detach()
    if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
        raise CheckpointError(f"layer {position} has weights that are not finite; train it again")
    transposed = isinstance(layer, nn.ConvTranspose2d)
    shift = _shift(weight)
    whole = torch.round(weight * 2**shift)
    whole_bias = torch.round(bias.double() * 2.0 ** (shift + FRACTION_BITS)).long()
    limit = _input_limit(whole, whole_bias, shift, layer.groups, transposed)
    if limit < _LEAST_INPUT:
        raise CheckpointError(
            f"layer {position}: its weights or biases are so large that exact sums allow only inputs up to "
            f"{limit / ONE:g}, but at least {_LEAST_INPUT / ONE:g} is needed; is the model sound?"
        )
    return {
        "kind": "conv_transpose" if transposed else "conv",
        "weight": whole.to(torch.int16),
        "bias": whole_bias,
        "shift": shift,
        "limit": limit,
        "groups": layer.groups,
    } | {name: list(getattr(layer, name)) for name in _GEOMETRY}


def _shift(weight: Tensor) -> int:
    """Return the exponent of the weights' unit, the finest at which the largest weight fits into 15 bits."""
    largest = float(weight.abs().max())
    shift = _MOST_SHIFT
    while round(largest * 2**shift) >= 2**_WEIGHT_BITS:
        shift -= 1
        if shift < 0:
            raise CheckpointError(f"a weight of {largest:g} is too large for an exact network; is the model sound?")
    return shift


def _input_limit(weight: Tensor, bias: Tensor, shift: int, groups: int, transposed: bool) -> int:
    """Return the largest |input| for which no sum of a layer can reach 2^48, whatever the inputs are."""
    if transposed:  # [in, out / groups, …]: sum over the inputs of each group
        columns = weight.abs().sum((2, 3)).reshape(groups, -1, weight.shape[1]).sum(1).reshape(-1)
    else:  # [out, in / groups, …]
        columns = weight.abs().sum((1, 2, 3))
    room = _SUM_LIMIT - 1 - int(bias.abs().max()) - 2**shift
    return max(0, min(VALUE_LIMIT, room // max(1, int(columns.max()))))


class _Convolution(nn.Module):
    weight64: Tensor
    bias64: Tensor
    matrix: Tensor
    addend: Tensor

    def __init__(self, layer: Mapping[str, Any]) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer["weight"], requires_grad=False)
        self.bias = nn.Parameter(layer["bias"], requires_grad=False) if bool(layer["bias"].any()) else None
        self.register_buffer("weight64", layer["weight"].double(), persistent=False)
        self.register_buffer("bias64", layer["bias"].double(), persistent=False)
        self.shift, self.limit, self.groups = int(layer["shift"]), int(layer["limit"]), int(layer["groups"])
        self.stride, self.padding, self.dilation = (tuple(layer[name]) for name in _GEOMETRY)
        self.kernel = tuple(layer["weight"].shape[2:])
        # In units of the outputs: powers of two, so that no bit is lost, and sums below 2^48 stay exact.
        self.register_buffer("matrix", self.weight64.flatten(1) / 2**self.shift, persistent=False)
        self.register_buffer("addend", (self.bias64 + self._rounding) / 2**self.shift, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        sums = torch.round(self.convolve(x.clamp(-self.limit, self.limit)))
        return torch.floor((sums + self._rounding) / 2**self.shift).clamp(-VALUE_LIMIT, VALUE_LIMIT)

    def vectors(self, x: Tensor) -> Tensor:
        sums = functional.linear(x.clamp(-self.limit, self.limit), self.matrix, self.addend)
        return sums.floor_().clamp_(-VALUE_LIMIT, VALUE_LIMIT)

    @property
    def _rounding(self) -> float:
        return 0.5 * 2**self.shift if self.shift else 0.0

    def convolve(self, x: Tensor) -> Tensor:
        return functional.conv2d(
            x, self.weight64, self.bias64, self.stride, self.padding, self.dilation, groups=self.groups
        )

    def side(self, side: int, dimension: int) -> int:
        reach = self.dilation[dimension] * (self.kernel[dimension] - 1)
        return (side + 2 * self.padding[dimension] - reach - 1) // self.stride[dimension] + 1


class _TransposedConvolution(_Convolution):
    def __init__(self, layer: Mapping[str, Any]) -> None:
        super().__init__(layer)
        self.output_padding = tuple(layer["output_padding"])

    def convolve(self, x: Tensor) -> Tensor:
        return functional.conv_transpose2d(
            *(x, self.weight64, self.bias64, self.stride, self.padding, self.output_padding),
            groups=self.groups,
            dilation=self.dilation,
        )

    def side(self, side: int, dimension: int) -> int:
        reach = self.dilation[dimension] * (self.kernel[dimension] - 1)
        extra = self.output_padding[dimension] - 2 * self.padding[dimension]
        return (side - 1) * self.stride[dimension] + reach + 1 + extra


class _LeakyReLU(nn.Module):
    def __init__(self, layer: Mapping[str, Any]) -> None:
        super().__init__()
        self.slope = int(layer["slope"])

    def forward(self, x: Tensor) -> Tensor:
        # The larger of the two for a slope from 0 to 1; and no product of such integers has more than 53 bits.
        return torch.maximum(x, torch.floor(x * (self.slope / 2**SLOPE_BITS)))

    def vectors(self, x: Tensor) -> Tensor:
        return self.forward(x)

    def side(self, side: int, dimension: int) -> int:
        return side


_KINDS: dict[str, Callable[[Mapping[str, Any]], nn.Module]] = {
    "conv": _Convolution,
    "conv_transpose": _TransposedConvolution,
    "leaky_relu": _LeakyReLU,
}
