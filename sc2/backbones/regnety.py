"""RegNetY of timm (arXiv 2003.13678), cut after the stem and each of the four stages s1 … s4 (docs/papers.md#cuts).

The papers' RegNetY-6.4GF is `regnety_064`. Its first stage outputs 144 channels at a quarter of the resolution.
"""

import timm
from timm.models.regnet import RegNet
from torch import nn

from sc2.backbones.base import StagedModel


def network(num_classes: int, variant: str = "064") -> nn.Module:
    """Return timm's RegNetY with random weights; `variant` is the end of its name there, e.g. `002`, `064`."""
    model: nn.Module = timm.create_model(f"regnety_{variant}", pretrained=False, num_classes=num_classes)
    return model


def build(num_classes: int, variant: str = "064") -> StagedModel:
    """Return the network as stages, with random weights."""
    return staged(network(num_classes, variant))


def staged(model: RegNet) -> StagedModel:
    """Return timm's RegNetY as stages that share its weights: s1 … s4 are layer1 … layer4."""
    layers = {f"layer{number}": nn.Sequential(*getattr(model, f"s{number}").children()) for number in range(1, 5)}
    return StagedModel({"stem": model.stem, **layers, "head": _head(model)})


def _head(model: RegNet) -> nn.Module:
    head = model.head
    # timm's pooling flattens as well; taken apart, so that a cut can lie in between.
    return nn.Sequential(head.global_pool.pool, nn.Flatten(), head.drop, head.fc)
