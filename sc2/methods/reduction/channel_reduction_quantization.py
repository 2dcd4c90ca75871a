"""CR+BQ: channel reduction and bottleneck quantisation (Matsubara & Levorato, ICPR 2020).

Source: docs/papers.md#channel-reduction-quantization.

    device                                    wire                                server
    x ─ encoder ─► z, few channels ─ 8 bits ─► scale, zero point, symbols (raw bytes) ─► z_hat ─ decoder ─► features of
                                                                              `cut` ─ rest of the backbone ─► logits

One phase, `distill`: encoder and decoder learn the teacher's features at the hint layers, in float and without
a rate term, L = Σ_k ‖s_k - t_k‖², summed over the batch; the rest of the backbone is the teacher's and stays
frozen. The number of channels alone sets the rate: one byte per channel and position, no entropy coder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sc2.methods.reduction.params import AXIS, Distill, Params, ReductionArch
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.training.recipe import Recipe


class ChannelReductionQuantization(Method[ReductionArch]):
    """The method as the workflow sees it; networks in `sc2.methods.reduction.network`."""

    Arch = ReductionArch
    Params = Params
    rate_axis = AXIS
    takes_encoder = True
    upstream_size_rule = "quantized"

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Return eight bits per symbol plus those of scale and zero point: exact, as there is no entropy model."""
        from sc2.methods.reduction.affine import SIDE_BYTES

        return 8.0 * (latent.symbols.numel() + SIDE_BYTES)

    def training(self, params: Strict, context: BuildContext[ReductionArch]) -> Recipe:
        """Return the recipe of `distill`."""
        from sc2.methods.reduction.training import distill_recipe

        return distill_recipe(params, context) if isinstance(params, Distill) else super().training(params, context)

    def reuse_encoder(self, network: Module, state: Mapping[str, Tensor]) -> None:
        """Load the encoder."""
        from sc2.backbones.teacher import take_over

        take_over(network, state, ("encoder",))

    def export(self, context: BuildContext[ReductionArch], state: Mapping[str, Tensor] | None) -> Export:
        """Split the trained network after the quantiser."""
        from sc2.methods.reduction.halves import split_reduction
        from sc2.methods.reduction.network import ReductionNetwork

        assert state is not None
        network = ReductionNetwork(context)
        network.load_state_dict(dict(state))
        return split_reduction(network, context)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build the encoder and the quantiser."""
        from sc2.methods.reduction.halves import QuantizedDevice, QuantizedDeviceContent

        return QuantizedDevice(QuantizedDeviceContent.model_validate(blob))

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the decoder and the rest of the backbone."""
        from sc2.methods.reduction.halves import QuantizedServer, QuantizedServerContent

        return QuantizedServer(QuantizedServerContent.model_validate(blob))


METHOD = ChannelReductionQuantization()
