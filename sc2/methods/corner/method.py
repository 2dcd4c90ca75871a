"""What the methods that send a label have in common: all of the network runs on the device (ours, in no paper).

    device                              wire                  server
    x ─ whole network ─► best classes ─► a byte or two each ─► logits: 0, -1, … in the order sent, -∞ for the rest

Few bytes, no network on the server, and all of the cost on the device: the far end of the trade-off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sc2.split.method import A, Method

if TYPE_CHECKING:
    from sc2.split.method import DeviceHalf, ServerHalf


class SendsLabel(Method[A]):
    """The device classifies; the server only reads the classes."""

    def unsupported(self, task: str) -> str | None:
        """What goes over the link are class indices."""
        return None if task == "classification" else "it sends classes of the image; boxes and masks are no classes"

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the whole network."""
        from sc2.methods.corner.halves import WholeNetworkContent, WholeNetworkDevice

        return WholeNetworkDevice(WholeNetworkContent.model_validate(blob))

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build what reads the classes."""
        from sc2.methods.corner.halves import LabelContent, LabelServer

        return LabelServer(LabelContent.model_validate(blob))
