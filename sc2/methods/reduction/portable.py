"""The family's device half without torch."""

from collections.abc import Mapping
from typing import Any

from sc2.methods.reduction.halves import QuantizedDevice
from sc2.split.method import DeviceHalf
from sc2.split.portable import Portable


def portable(half: DeviceHalf, content: Mapping[str, Any]) -> Portable:
    """Return the encoder; the quantiser needs no tables."""
    assert isinstance(half, QuantizedDevice)
    return Portable({"kind": "affine"}, half.network, "normalised")
