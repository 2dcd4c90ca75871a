"""Base class of the family's methods."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from sc2.methods.gained.params import AXIS, A, Joint
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sc2.methods.gained.transforms import Transforms
    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.training.recipe import Recipe


class GainedMethod(Method[A]):
    """An encoder, gains per rate, a decoder: one training for all operating points."""

    rate_axis = AXIS
    takes_encoder = True
    one_training = True

    @abstractmethod
    def transforms(self) -> Transforms[A]:
        """Return encoder and decoder."""

    def point_problem(self, arch: A, point: str) -> str | None:
        """Return what is wrong with a rate that the device does not have."""
        try:
            arch.step_of(point)
        except ValueError as error:
            return str(error)
        return None

    def architecture(self, arch: A, point: str) -> Hashable:
        """Return nothing of the point: there is one network."""
        return ()

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Return the ideal code length of the symbols under the device's tables (bits)."""
        from sc2.methods.gained.halves import GainedDevice

        assert isinstance(device, GainedDevice)
        return device.bits(latent)

    def training(self, params: Strict, context: BuildContext[A]) -> Recipe:
        """Return the recipe of `joint`."""
        from sc2.methods.gained.training import joint_recipe

        if isinstance(params, Joint):
            return joint_recipe(params, context, self.transforms())
        return super().training(params, context)

    def reuse_encoder(self, network: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Load encoder, gains, and the prior with its counts."""
        from sc2.backbones.teacher import take_over

        take_over(network, state, ("encoder", "gain", "prior"))

    def export(self, context: BuildContext[A], state: Mapping[str, Tensor] | None) -> Export:
        """Split the trained network after the coder, to send at the rate of the operating point."""
        from sc2.methods.gained.halves import split_gained
        from sc2.methods.gained.network import GainedNetwork

        assert state is not None
        network = GainedNetwork(context, self.transforms())
        network.load_state_dict(dict(state))
        return split_gained(network, context, self.transforms())

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build encoder, gains and coder."""
        from sc2.methods.gained.halves import GainedDevice, GainedDeviceContent

        return GainedDevice(GainedDeviceContent.model_validate(blob), self.transforms())

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build coder, decoder and the rest of the task model."""
        from sc2.methods.gained.halves import GainedServer, GainedServerContent

        return GainedServer(GainedServerContent.model_validate(blob), self.transforms())
