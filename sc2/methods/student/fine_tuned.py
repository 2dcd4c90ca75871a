"""A backbone cut in two with a factorised prior at the cut and nothing else between (fine-tuning).

Source: docs/papers.md#fine-tuned-split.

    x ─ stages up to the cut ─► y [B, C, h, w] ─ round, coder ─► payload bytes ─► y_hat ─ the other stages ─► logits

There is no new encoder: the device runs the backbone's own first stages. A cut may also lie inside a stage, or behind
the head's pooling (`sc2.backbones.base.cuts`).
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from sc2.backbones.base import Features, stage_channels
from sc2.backbones.build import body, build_network
from sc2.backbones.teacher import teacher_model
from sc2.data.limits import largest_side
from sc2.layers.priors import FACTORIZED
from sc2.methods.student.halves import StudentDevice, StudentServer
from sc2.split.method import BuildContext, Export


class PastedBottleneck(nn.Module):
    """The teacher with an entropy bottleneck behind a cut.

    Input [B, 3, H, W] normalised, output the task's. In training mode the features at the cut get uniform
    noise, in eval mode they are rounded around the medians, as on the wire.
    """

    def __init__(self, context: BuildContext, cut: str) -> None:
        # Here, because the two halves need no CompressAI, whose import takes longer than most of their jobs run.
        from sc2.layers.trained_priors import FactorizedPrior

        super().__init__()
        teacher = teacher_model(context.teacher)
        self.encoder = teacher.up_to(cut).requires_grad_(True)
        self.prior = FactorizedPrior(stage_channels(teacher, cut))
        self.tail = teacher.after(cut).requires_grad_(True)

    @property
    def head(self) -> nn.Module:
        """What follows the body; at the cut `avgpool`, what follows the pooling."""
        return self.tail.head

    def features(self, x: Tensor) -> Features:
        """Return what the head takes."""
        y_hat, _ = self.prior(self.encoder(x))
        return self.tail.features(y_hat)

    def forward(self, x: Tensor) -> Any:
        """Run the whole split in one process."""
        return self.head(self.features(x))


class FineTunedDevice(StudentDevice):
    """The stages up to the cut, and the coder."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.encoder = build_network(body(blob["backbone"]), blob["num_classes"]).up_to(blob["cut"])
        self.encoder.load_state_dict(blob["state"])
        self.network = self.encoder.eval().requires_grad_(False)
        self.coder = FACTORIZED.encoder(blob["prior"])
        self.tables = self.coder.tables
        self.input = blob["input"]


class FineTunedServer(StudentServer):
    """The coder, and the stages behind the cut."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.network = build_network(blob["backbone"], blob["num_classes"]).after(blob["cut"])
        self.network.load_state_dict(blob["state"])
        self.network.eval().requires_grad_(False)
        self.coder = FACTORIZED.decoder(blob["prior"])
        self.largest = blob["largest"]


def split_fine_tuned(network: PastedBottleneck, context: BuildContext, cut: str) -> Export:
    """Cut a trained network behind the entropy coder, with coding tables built anew."""
    prior = network.prior.export()
    encoder = network.encoder.state_dict()
    common = {
        "cut": cut,
        "backbone": dict(context.teacher["backbone"]),
        "num_classes": len(context.teacher["classes"]),
    }
    device = {**common, "input": context.pixels, "state": encoder, "prior": prior.device}
    server = {
        **common,
        "largest": largest_side(context.input),
        "state": network.tail.state_dict(),
        "prior": prior.server,
    }
    return Export(device, server, encoder | prior.upstream_state)
