"""A backbone cut in two with a factorised prior at the cut and nothing else between (fine-tuning; spec 1.11).

    x ─ stages up to the cut ─► y [B, C, h, w] ─ round, coder ─► payload bytes ─► y_hat ─ the other stages ─► logits

There is no new encoder: the device runs the backbone's own first stages. A cut may also lie inside a stage, or behind
the head's pooling (`sc2.backbones.base.cuts`).
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch import Tensor, nn

from sc2.backbones.base import build_backbone, stage_channels
from sc2.entropy.factorized import FactorizedCoder, tables_of
from sc2.layers.student import FactorizedDevice, FactorizedServer, reference_model
from sc2.methods.base import BuildContext, Export


class PastedBottleneck(nn.Module):
    """The reference model with an entropy bottleneck behind a cut.

    Input [B, 3, H, W] normalised, output logits [B, classes]. In training mode the features at the cut get uniform
    noise, in eval mode they are rounded around the medians, as on the wire.
    """

    def __init__(self, context: BuildContext, cut: str) -> None:
        # Here, because the two halves need no CompressAI, whose import takes longer than most of their jobs run.
        from compressai.entropy_models import EntropyBottleneck

        super().__init__()
        teacher, size = reference_model(context), int(context.input["crop"])
        self.encoder = teacher.up_to(cut).requires_grad_(True)
        self.entropy_bottleneck = EntropyBottleneck(stage_channels(teacher, cut, size))
        self.tail = teacher.after(cut).requires_grad_(True)

    def forward(self, x: Tensor) -> Tensor:
        """Run the whole split in one process."""
        y_hat, _ = self.entropy_bottleneck(self.encoder(x))
        logits: Tensor = self.tail(y_hat)
        return logits


class FineTunedDevice(FactorizedDevice):
    """The stages up to the cut, and the coder."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.network = build_backbone(blob["backbone"], blob["num_classes"]).up_to(blob["cut"])
        self.network.load_state_dict(blob["state"])
        self.network.eval().requires_grad_(False)
        self.tables = blob["tables"]
        self.coder = FactorizedCoder(blob["tables"])
        self.input = blob["input"]


class FineTunedServer(FactorizedServer):
    """The coder, and the stages behind the cut."""

    def __init__(self, blob: Mapping[str, Any]) -> None:
        self.network = build_backbone(blob["backbone"], blob["num_classes"]).after(blob["cut"])
        self.network.load_state_dict(blob["state"])
        self.network.eval().requires_grad_(False)
        self.coder = FactorizedCoder(blob["tables"])
        self.largest = blob["crop"]


def split_fine_tuned(network: PastedBottleneck, context: BuildContext, cut: str) -> Export:
    """Cut a trained network behind the entropy coder, with coding tables built anew."""
    bottleneck = deepcopy(network.entropy_bottleneck)
    tables = tables_of(bottleneck)
    encoder = network.encoder.state_dict()
    common = {
        "cut": cut,
        "backbone": dict(context.teacher["backbone"]),
        "num_classes": len(context.teacher["classes"]),
        "tables": tables,
    }
    device = {**common, "input": dict(context.input), "state": encoder}
    server = {**common, "crop": int(context.input["crop"]), "state": network.tail.state_dict()}
    prior = {f"entropy_bottleneck.{name}": value for name, value in bottleneck.state_dict().items()}
    return Export(device, server, encoder | prior)
