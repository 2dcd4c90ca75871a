"""Base of the methods that send labels: the whole network runs on the device (ours, in no paper).

    device                              wire                  server
    x ─ whole network ─► best classes ─► a byte or two each ─► logits: 0, -1, … in the order sent, -∞ for the rest

Few bytes, no network on the server, and all computation on the device: the far end of the trade-off.
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
        """Return the reason on every task except classification: only class indices are sent."""
        return None if task == "classification" else "it sends class indices only, no boxes or masks"

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the whole network."""
        from sc2.methods.corner.halves import WholeNetworkContent, WholeNetworkDevice

        return WholeNetworkDevice(WholeNetworkContent.model_validate(blob))

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the reader of the classes."""
        from sc2.methods.corner.halves import LabelContent, LabelServer

        return LabelServer(LabelContent.model_validate(blob))
