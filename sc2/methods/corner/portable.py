"""The family's device half without torch."""

from collections.abc import Mapping
from typing import Any

from sc2.methods.corner.halves import WholeNetworkDevice
from sc2.split.method import DeviceHalf
from sc2.split.portable import Portable


def portable(half: DeviceHalf, content: Mapping[str, Any]) -> Portable:
    """Return the whole network, and how many classes are sent in how many bytes."""
    assert isinstance(half, WholeNetworkDevice)
    sender = {"kind": "labels", "num_labels": half.num_labels, "width": half.width}
    return Portable(sender, half.network, "normalised")
