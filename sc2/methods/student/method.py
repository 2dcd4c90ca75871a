"""Base classes of the family's methods."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sc2.methods.student.params import AXIS, B, Prior
from sc2.split.method import A, BuildContext, Export, Method

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sc2.split.method import DeviceHalf, ServerHalf


class EntropyCoded(Method[A]):
    """A method whose latent is coded under an entropy model."""

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Return the ideal code length of the symbols under the device's tables (bits)."""
        from sc2.methods.student.halves import StudentDevice

        assert isinstance(device, StudentDevice)
        return device.bits(latent)


class BottleneckMethod(EntropyCoded[B]):
    """A bottleneck (g_a, entropy model, g_s) in place of the first stages; the network is in `network.py`.

    Attributes:
        prior: Its entropy model. By name, because a training needs no coder (`ends.py`), and the halves need nothing
            that is trained (`trained_priors.py`).
    """

    rate_axis = AXIS
    takes_encoder = True
    prior: ClassVar[Prior]

    def architecture(self, arch: B, point: str) -> Hashable:
        """Return nothing of the point: β is only a price."""
        return ()

    def reuse_encoder(self, network: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Load g_a and the entropy model."""
        from sc2.backbones.teacher import take_over

        take_over(network, state, ("encoder", "prior"))

    def export(self, context: BuildContext[B], state: Mapping[str, Tensor] | None) -> Export:
        """Split the trained network after the entropy coder."""
        from sc2.methods.student.halves import split_student
        from sc2.methods.student.network import StudentNetwork

        assert state is not None
        network = StudentNetwork(context, self.prior)
        network.load_state_dict(dict(state))
        return split_student(network, context)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build g_a and the coder."""
        from sc2.methods.student.ends import ENDS
        from sc2.methods.student.halves import StudentDevice, StudentDeviceContent

        return StudentDevice(StudentDeviceContent.model_validate(blob), ENDS[self.prior])

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the coder, g_s and the rest of the backbone."""
        from sc2.methods.student.ends import ENDS
        from sc2.methods.student.halves import StudentServer, StudentServerContent

        return StudentServer(StudentServerContent.model_validate(blob), ENDS[self.prior])
