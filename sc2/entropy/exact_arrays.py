"""Networks in whole numbers, as `sc2.entropy.exact` runs them, on numpy: the same integers without torch.

Every sum is of integers below 2^48 in float64, so its order does not matter (docs/wire-format.md#networks-in-whole-
numbers). Layers run as one product of matrices per position of their kernel: they are small.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sc2.errors import CheckpointError

FRACTION_BITS = 12
"""Values are integer multiples of 2^-12."""
ONE = 2**FRACTION_BITS
VALUE_LIMIT = 2**24
"""Largest magnitude in these units: 4096; every multiple below it is exact in float32."""
SLOPE_BITS = 16
"""Slopes of activations are integer multiples of 2^-16."""

Values = NDArray[np.float64]
"""Integers in units of 2^-12."""


def exact_network(layers: Mapping[str, Mapping[str, Any]]) -> Callable[[Values], Values]:
    """Return the network of layers by position, as `sc2.entropy.exact.exact_layers` describes them.

    The network takes integers [B, C, H, W] and returns integers [B, T, h, w], both in units of 2^-12.

    Raises:
        CheckpointError: A layer is of an unknown kind.
    """
    ordered = [_layer(layers[str(position)]) for position in range(len(layers))]

    def run(x: Values) -> Values:
        x = np.clip(x.astype(np.float64), -VALUE_LIMIT, VALUE_LIMIT)
        for layer in ordered:
            x = layer(x)
        return x

    return run


def _layer(layer: Mapping[str, Any]) -> Callable[[Values], Values]:
    kinds: dict[str, Callable[[Mapping[str, Any]], Callable[[Values], Values]]] = {
        "conv": _Convolution,
        "conv_transpose": _TransposedConvolution,
        "leaky_relu": _leaky_relu,
    }
    if layer["kind"] not in kinds:
        raise CheckpointError(f"an exact network has no layer {layer['kind']!r}; there are: {', '.join(kinds)}")
    return kinds[layer["kind"]](layer)


def _leaky_relu(layer: Mapping[str, Any]) -> Callable[[Values], Values]:
    slope = int(layer["slope"])
    return lambda x: np.where(x < 0, np.floor(x * slope / 2**SLOPE_BITS), x)


class _Convolution:
    """A convolution: the sum over its kernel's positions of a product of matrices each."""

    def __init__(self, layer: Mapping[str, Any]) -> None:
        self.weight = np.asarray(layer["weight"], np.float64)
        self.bias = np.asarray(layer["bias"], np.float64).reshape(1, -1, 1, 1)
        self.shift, self.limit, self.groups = int(layer["shift"]), int(layer["limit"]), int(layer["groups"])
        self.stride, self.padding, self.dilation = (
            tuple(map(int, layer[name])) for name in ("stride", "padding", "dilation")
        )
        self.kernel = self.weight.shape[2:]

    def __call__(self, x: Values) -> Values:
        sums = self.sums(np.clip(x, -self.limit, self.limit)) + self.bias
        rounding = 0.5 * 2**self.shift if self.shift else 0.0
        return np.clip(np.floor((sums + rounding) / 2**self.shift), -VALUE_LIMIT, VALUE_LIMIT)

    def sums(self, x: Values) -> Values:
        (down, right), (rows, columns) = self.padding, self.stride
        x = np.pad(x, ((0, 0), (0, 0), (down, down), (right, right)))
        height, width = (
            (side - spread * (kernel - 1) - 1) // step + 1
            for side, spread, kernel, step in zip(x.shape[2:], self.dilation, self.kernel, self.stride, strict=True)
        )
        out: Any = 0.0
        for i, j in np.ndindex(*self.kernel):
            top, left = i * self.dilation[0], j * self.dilation[1]
            down_to, right_to = top + rows * (height - 1) + 1, left + columns * (width - 1) + 1
            part = x[:, :, top:down_to:rows, left:right_to:columns]
            out = out + self.product(part, self.weight[:, :, i, j])
        return np.asarray(out, np.float64)

    def product(self, x: Values, weight: Values) -> Values:
        """Return weight [T, C / groups] times x [B, C, h, w], group by group: [B, T, h, w]."""
        batch, _, height, width = x.shape
        grouped = weight.reshape(self.groups, -1, weight.shape[1])
        columns = x.reshape(batch, self.groups, weight.shape[1], height * width)
        return (grouped @ columns).reshape(batch, -1, height, width)


class _TransposedConvolution(_Convolution):
    """A transposed convolution: each position of the kernel adds its product at every `stride`-th place."""

    def __init__(self, layer: Mapping[str, Any]) -> None:
        super().__init__(layer)
        self.extra = tuple(map(int, layer["output_padding"]))

    def sums(self, x: Values) -> Values:
        batch, channels, height, width = x.shape
        # Weights are [in, out / groups, kh, kw]; `product` wants [out, in / groups].
        per_group = self.weight.reshape(self.groups, channels // self.groups, *self.weight.shape[1:])
        turned = per_group.swapaxes(1, 2).reshape(-1, channels // self.groups, *self.kernel)
        sides = [
            (side - 1) * step + spread * (kernel - 1) + 1 + extra
            for side, step, spread, kernel, extra in zip(
                (height, width), self.stride, self.dilation, self.kernel, self.extra, strict=True
            )
        ]
        out = np.zeros((batch, len(turned), *sides))
        (rows, columns), (down, right) = self.stride, self.padding
        for i, j in np.ndindex(*self.kernel):
            top, left = i * self.dilation[0], j * self.dilation[1]
            down_to, right_to = top + rows * (height - 1) + 1, left + columns * (width - 1) + 1
            out[:, :, top:down_to:rows, left:right_to:columns] += self.product(x, turned[:, :, i, j])
        return out[:, :, down : sides[0] - down, right : sides[1] - right]
