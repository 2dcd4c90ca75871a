"""The family's device half without torch."""

from collections.abc import Mapping
from typing import Any

from sc2.methods.codec_feature.halves import CodecFeatureDevice
from sc2.split.method import DeviceHalf
from sc2.split.portable import Portable


def portable(half: DeviceHalf, content: Mapping[str, Any]) -> Portable:
    """Return the stages up to the cut, and the codec's format and quality."""
    assert isinstance(half, CodecFeatureDevice)
    sender = {"kind": "pictures", "format": half.format, "options": {"quality": half.quality}}
    return Portable(sender, half.network, "normalised")
