"""Base of the two bottleneck units (Datta et al., arXiv 2208.11596; docs/papers.md#bottleneck-unit).

    device                                          wire                server
    x ─ network up to the cut ─ encoder ─ round, coder ─► payload bytes ─► decoder ─ network after the cut ─► logits

The network is the teacher and stays frozen; a unit (a few per cent of its size) is trained for each operating point:
cut, quantiser step q, stride s, channels k. Changing the rate at a cut replaces only the unit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sc2.methods.unit.params import UnitArch
from sc2.methods.unit.point import AXIS
from sc2.split.method import BuildContext, Export, Method

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.split.wire import Payload


class BottleneckUnit(Method[UnitArch]):
    """A unit as the workflow sees it; networks in `sc2.methods.unit.network`, losses in `sc2.methods.unit.training`."""

    Arch = UnitArch
    rate_axis = AXIS
    one_size = True

    def curve(self, point: str) -> str:
        """Return the cut: units at the same cut form one curve."""
        return AXIS.parse(point).cut

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Return the ideal code length of the symbols [1, k, h, w] under the device's tables (bits)."""
        from sc2.methods.unit.halves import UnitDevice

        assert isinstance(device, UnitDevice)
        return device.bits(latent)

    def side_measures(self, device: DeviceHalf, latent: Any, payload: Payload) -> Mapping[str, float]:
        """Return the bytes with one table for all channels: in the published Huffman code, and as an ideal length."""
        from sc2.methods.unit.halves import UnitDevice

        assert isinstance(device, UnitDevice)
        return {"huffman_bytes": device.huffman_bytes(latent), "order0_bytes": device.order0_bytes(latent)}

    def export(self, context: BuildContext[UnitArch], state: Mapping[str, Tensor] | None) -> Export:
        """Split the network after the entropy coder."""
        from sc2.methods.unit.halves import split_unit
        from sc2.methods.unit.network import UnitNetwork

        assert state is not None
        point = AXIS.parse(context.point)
        network = UnitNetwork(context, point)
        network.load_state_dict(dict(state))
        return split_unit(network, context, point)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the stages up to the cut, the unit's encoder and the coder."""
        from sc2.methods.unit.halves import UnitDevice, UnitDeviceContent

        return UnitDevice(UnitDeviceContent.model_validate(blob))

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the coder, the unit's decoder and the stages after the cut."""
        from sc2.methods.unit.halves import UnitServer, UnitServerContent

        return UnitServer(UnitServerContent.model_validate(blob))
