"""How many bytes went over the link, as a distribution over images and by upstream's definition.

This module imports torch only when `sc2bench_kb` pickles a learned method's payload.
"""

import math
import pickle
import sys
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

from sc2.errors import ConfigError
from sc2.measure.percentile import check_values, percentile

if TYPE_CHECKING:
    from torch import Tensor

# The default protocol of the Python versions that upstream runs on; a newer default would change the numbers.
_PICKLE_PROTOCOL = 4
_ADDRESS_DIGITS = 14


class Sent(Protocol):
    """What goes over the link for one image; `sc2.split.wire.Payload` is one."""

    @property
    def streams(self) -> tuple[bytes, ...]:
        """The byte strings."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Whole numbers that the decoder needs."""

    @property
    def num_bytes(self) -> int:
        """Length of all byte strings together."""


class Distribution(TypedDict):
    """Summary of one number per image, all in that number's unit."""

    mean: float
    std: float
    p50: float
    p95: float
    p99: float


def distribution(values: Sequence[float]) -> Distribution:
    """Summarise one number per image.

    Sums are exactly rounded, so that the result depends neither on the order of the values nor on the machine.

    Args:
        values: At least one finite number.

    Returns:
        Mean, population standard deviation (ddof 0, as upstream: arXiv 2203.08875) and percentiles.

    Raises:
        DataError: There is no value, or a value is not finite.
    """
    check_values(values)
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
    return Distribution(
        mean=mean,
        std=math.sqrt(variance),
        p50=percentile(values, 50),
        p95=percentile(values, 95),
        p99=percentile(values, 99),
    )


def sc2bench_kb(payload: Sent, kind: Literal["codec", "codec_feature", "learned", "quantized"]) -> float:
    """Return the data size as sc2bench reports it (KB of 1024 bytes); for comparison only.

    Upstream's rule (arXiv 2203.08875, its file size analysis): for a codec the bytes of the file; for everything
    learned the memory that the pickled output of `encode()` takes in Python. That adds 103 … 124 bytes to one string,
    33 of which are the header of a Python object, and 794 bytes to the symbols of a quantised tensor. Features in a
    codec's files count these, and two pickled lists with a tensor for each file's minimum and maximum: 280 bytes for a
    number of four.

    Args:
        payload: One image's payload; its shape is the (H, W) of the latent for `learned`, (C, H, W) for `quantized`;
            for `codec_feature`, its first stream holds the minima and maxima.
        kind: `codec` for input compression by a codec, `codec_feature` for feature compression by a codec, `learned`
            for a network with an entropy model, `quantized` for one that sends a tensor of 8-bit symbols as it is
            (CR+BQ).

    Raises:
        ConfigError: `kind` is none of them.
    """
    if kind == "codec":
        return payload.num_bytes / 1024
    if kind == "codec_feature":
        files = payload.streams[1:]
        return (sum(map(len, files)) + 2 * _pickled_scalars_bytes(len(files))) / 1024
    if kind == "learned":
        return _pickled_bytes(_strings(payload), []) / 1024
    if kind == "quantized":
        return _pickled_tensor_bytes(payload.shape) / 1024
    raise ConfigError(f"unknown kind of data size {kind!r}; known: codec, codec_feature, learned, quantized")


def _strings(payload: Sent) -> dict[str, Any]:
    """Return what a CompressAI-style `encode()` returns for a batch of one image."""
    import torch

    return {"strings": [[stream] for stream in payload.streams], "shape": torch.Size(payload.shape)}


@cache
def _pickled_tensor_bytes(shape: tuple[int, ...]) -> int:
    """Return the size of what upstream's quantiser gives for one image; no value changes it."""
    import torch
    from torchdistill.common.tensor_util import QuantizedTensor

    symbols, scale = torch.zeros(1, *shape, dtype=torch.uint8), torch.zeros(())
    return _pickled_bytes({"z": QuantizedTensor(tensor=symbols, scale=scale, zero_point=0)}, [symbols, scale])


@cache
def _pickled_scalars_bytes(count: int) -> int:
    import torch

    # Only how many there are matters: a number's pickle is as long whatever the number.
    scalars = [torch.tensor(0.0) for _ in range(count)]
    return _pickled_bytes(scalars, scalars)


def _pickled_bytes(output: Any, tensors: Sequence["Tensor"]) -> int:
    """Return the memory that a pickle takes in Python, as if the addresses of its tensors had 14 digits.

    The pickle of a tensor holds the address of its memory in decimal, twice. Python is loaded at addresses of 14 digits
    or, where it is not position-independent (Debian's), at ones of 8 to 10: the same image would have another size.
    """
    addresses = (str(tensor.untyped_storage()._cdata) for tensor in tensors)
    missing = sum(2 * (_ADDRESS_DIGITS - len(address)) for address in addresses)
    return sys.getsizeof(pickle.dumps(output, protocol=_PICKLE_PROTOCOL)) + missing
