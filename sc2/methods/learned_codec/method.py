"""Base of the methods that compress the input with a learned image codec (docs/papers.md#learned-codecs).

    device                                wire               server
    x ─ pad ─ g_a ─► y ─ round, coder ─► payload bytes ─► y_hat ─ g_s ─ crop ─ normalise ─ teacher ─► logits

The codecs are CompressAI's; each quality, 1 … 8, is a separate training with a price λ of distortion:
L = λ · 255² · MSE + bits per pixel. The only phase, `train`, starts from fresh weights or from published ones; with the
latter it may have zero epochs. The teacher is not changed. The codec is independent of the task: it may be that of
another benchmark (`encoder_from`), and then nothing is trained here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sc2.methods.learned_codec.params import AXIS, LearnedCodecArch, Train
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.training.recipe import Recipe


class LearnedCodec(Method[LearnedCodecArch]):
    """Input compression with one of CompressAI's models.

    Attributes:
        codec: CompressAI's class name.
    """

    rate_axis = AXIS
    takes_encoder = True
    trains_encoder_only = True
    codec: ClassVar[str]

    def architecture(self, arch: LearnedCodecArch, point: str) -> Hashable:
        """Return the widths of the quality."""
        return arch.widths(AXIS.parse(point))

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Return the ideal code length of the symbols under the device's tables (bits)."""
        from sc2.methods.learned_codec.halves import LearnedCodecDevice

        assert isinstance(device, LearnedCodecDevice)
        return device.bits(latent)

    def training(self, params: Strict, context: BuildContext[LearnedCodecArch]) -> Recipe:
        """Return the recipe of `train`."""
        match params:
            case Train():
                from sc2.methods.learned_codec.training import rate_distortion_recipe

                return rate_distortion_recipe(params, context, self.codec)
        return super().training(params, context)

    def export(self, context: BuildContext[LearnedCodecArch], state: Mapping[str, Tensor] | None) -> Export:
        """Split the trained codec after the entropy coder, with the teacher after its decoder."""
        from sc2.methods.learned_codec.export import split

        assert state is not None
        return split(context, self.codec, state)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build g_a and the entropy model."""
        from sc2.methods.learned_codec.halves import LearnedCodecDevice, LearnedCodecDeviceContent

        return LearnedCodecDevice(LearnedCodecDeviceContent.model_validate(blob))

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the entropy model, g_s and the teacher."""
        from sc2.methods.learned_codec.halves import LearnedCodecServer, LearnedCodecServerContent

        return LearnedCodecServer(LearnedCodecServerContent.model_validate(blob))
