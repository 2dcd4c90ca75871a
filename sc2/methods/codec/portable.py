"""The family's device half without torch: there is no network, only a codec."""

from collections.abc import Mapping
from typing import Any

from sc2.methods.codec.bpg import BpgEncoder
from sc2.methods.codec.halves import PillowEncoder
from sc2.split.method import DeviceHalf
from sc2.split.pixels import PixelDevice
from sc2.split.portable import Portable


def portable(half: DeviceHalf, content: Mapping[str, Any]) -> Portable:
    """Return the codec and its settings."""
    assert isinstance(half, PixelDevice)
    if isinstance(half.encoder, BpgEncoder):
        return Portable({"kind": "bpg", "qp": half.encoder.qp, "codec": half.encoder.codec})
    assert isinstance(half.encoder, PillowEncoder)
    return Portable({"kind": "image", "format": half.encoder.format, "options": half.encoder.options})
