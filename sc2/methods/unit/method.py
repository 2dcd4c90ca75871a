"""What the two bottleneck units have in common (Datta et al., arXiv 2208.11596; spec 1).

    device                                          wire                server
    x ─ network up to the cut ─ encoder ─ round, coder ─► payload bytes ─► decoder ─ network after the cut ─► logits

The network is the teacher and stays frozen; a unit (a few per cent of its size) is trained for each operating
point: cut, quantiser step q, stride s, channels k. Changing the rate at a cut changes the unit and nothing else.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sc2.methods.unit.point import AXIS, UnitPoint
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.methods.unit.training import Objective
    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.split.wire import Payload
    from sc2.training.recipe import Recipe


class UnitTraining(Strict):
    """Schedule of a unit: all ours, none is published (spec 1.1)."""

    epochs: int = Field(default=10, gt=0, description="Passes over the training split")
    batch_size: int = Field(default=64, gt=0, description="Images per step")
    lr: float = Field(default=1e-3, gt=0, description="Peak learning rate of the one-cycle schedule (Adam)")
    prior_lr: float = Field(default=1e-2, gt=0, description="The same for the density that prices the bits")
    bit_price: float = Field(default=1e-4, ge=0, description="λ: nats of the task's loss that one bit per image costs")


class UnitParams(Strict):
    """What the operating point does not say of a unit's architecture."""

    signed_features: bool = Field(
        default=False,
        description="Whether the features at the cuts take negative values, as between a MobileNetV2's blocks: then no "
        "ReLU follows the unit's last batch norm (ours; in a ResNet they do not)",
    )


class BottleneckUnit(Method):
    """A unit as the workflow sees it; networks in `sc2.methods.unit.network`, losses in `sc2.methods.unit.training`."""

    family = "unit"
    rate_axis = AXIS
    one_size = True

    @abstractmethod
    def objective(self, params: Mapping[str, Any]) -> Objective:
        """Return what the unit is trained for, besides few bits."""

    def curve(self, point: str) -> str:
        """Units at one cut make one curve."""
        return UnitPoint.of(point).cut

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Ideal code length of the symbols under the device's tables, bits."""
        from sc2.methods.unit.halves import UnitDevice

        assert isinstance(device, UnitDevice)
        return device.bits(latent)

    def side_measures(self, device: DeviceHalf, latent: Any, payload: Payload) -> Mapping[str, float]:
        """What one table for all channels would cost: in the published Huffman code, and as an ideal code length."""
        from sc2.methods.unit.halves import UnitDevice

        assert isinstance(device, UnitDevice)
        return {"huffman_bytes": device.huffman_bytes(latent), "order0_bytes": device.order0_bytes(latent)}

    def training(self, phase: str, params: Mapping[str, Any], context: BuildContext) -> Recipe:
        """Return the recipe of `unit`."""
        if phase not in self.phases():
            return super().training(phase, params, context)
        from sc2.methods.unit.training import unit_recipe

        return unit_recipe(params, context, UnitPoint.of(context.point), self.objective(params))

    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Split the network after the entropy coder."""
        from sc2.methods.unit.halves import split_unit
        from sc2.methods.unit.network import UnitNetwork

        assert state is not None
        point = UnitPoint.of(context.point)
        network = UnitNetwork(context, point)
        network.load_state_dict(dict(state))
        return split_unit(network, context, point)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the stages up to the cut, the unit's encoder and the coder."""
        from sc2.methods.unit.halves import UnitDevice

        return UnitDevice(blob)

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the coder, the unit's decoder and the stages after the cut."""
        from sc2.methods.unit.halves import UnitServer

        return UnitServer(blob)
