"""The two halves of a backbone with a factorised prior at the cut."""

from typing import TYPE_CHECKING

from torch import Tensor

from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.data.limits import largest_latent
from sc2.data.spec import PixelSpec
from sc2.layers.prior_content import DevicePrior, PriorContent
from sc2.layers.priors import FACTORIZED
from sc2.methods.student.halves import StudentDevice, StudentServer
from sc2.split.content import HalfContent
from sc2.split.method import A, BuildContext, Export

if TYPE_CHECKING:
    from sc2.methods.student.fine_tuned import PastedBottleneck


class FineTunedContent(HalfContent):
    """What either half is built from.

    Attributes:
        cut: Where the network is cut.
        backbone: The whole network.
        num_classes: Number of its classes.
        state: Weights of the half's own stages.
    """

    cut: str
    backbone: NetworkSpec
    num_classes: int
    state: dict[str, Tensor]


class FineTunedDeviceContent(FineTunedContent):
    """What the device half is built from: the stages up to the cut."""

    input: PixelSpec
    prior: DevicePrior


class FineTunedServerContent(FineTunedContent):
    """What the server half is built from: the stages after the cut.

    Attributes:
        largest: Largest short and long side of y.
        prior: The server's end of the entropy model.
    """

    largest: tuple[int, int]
    prior: PriorContent


class FineTunedDevice(StudentDevice):
    """The stages up to the cut, and the coder."""

    def __init__(self, content: FineTunedDeviceContent) -> None:
        self.encoder = build_network(content.backbone.body, content.num_classes).up_to(content.cut)
        self.encoder.load_state_dict(content.state)
        self.network = self.encoder.eval().requires_grad_(False)
        self.coder = FACTORIZED.encoder(content.prior)
        self.tables = self.coder.tables
        self.input = content.input


class FineTunedServer(StudentServer):
    """The coder, and the stages after the cut."""

    def __init__(self, content: FineTunedServerContent) -> None:
        self.network = build_network(content.backbone, content.num_classes).after(content.cut)
        self.network.load_state_dict(content.state)
        self.network.eval().requires_grad_(False)
        self.coder = FACTORIZED.decoder(content.prior)
        self.largest = content.largest


def split_fine_tuned(network: "PastedBottleneck", context: BuildContext[A], cut: str) -> Export:
    """Split a trained network after the entropy coder, with fresh coding tables."""
    prior, backbone, num_classes = network.prior.export(), context.teacher.backbone, context.num_classes
    encoder = network.encoder.state_dict()
    device = FineTunedDeviceContent(
        cut=cut,
        backbone=backbone,
        num_classes=num_classes,
        input=context.input.pixels,
        state=encoder,
        prior=prior.device,
    )
    server = FineTunedServerContent(
        cut=cut,
        backbone=backbone,
        num_classes=num_classes,
        largest=largest_latent(network.encoder.eval(), context.input),
        state=network.tail.state_dict(),
        prior=prior.server,
    )
    return Export(device, server, encoder | prior.upstream_state)
