"""Every network as a chain of named stages, so that no method needs to know the names inside a library's model.

A family's file offers `network(num_classes, **args)`, the model in its library's own layout (so that published weights
load), and `build(num_classes, **args)`, the same as a `StagedClassifier`.
"""

import importlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from sc2.errors import CheckpointError


class StagedClassifier(nn.Module):
    """A classifier as a chain of stages `stem, layer1 … layer4, head`, or the rest of one after a cut.

    Input [B, C, H, W], output logits [B, classes]. The stages are children of `stages`, so that the output of a stage
    can be hooked at the path `stages.<name>`.
    """

    def __init__(self, stages: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)

    def forward(self, x: Tensor) -> Tensor:
        """Run all stages in order."""
        for stage in self.stages.values():
            x = stage(x)
        return x

    def up_to(self, name: str) -> "StagedClassifier":
        """Return a copy of the stages up to and including `name`."""
        position = list(self.stages).index(name)
        return StagedClassifier({key: deepcopy(self.stages[key]) for key in list(self.stages)[: position + 1]})

    def after(self, name: str) -> "StagedClassifier":
        """Return a copy of the stages that follow `name`: what the server runs when the cut is there."""
        position = list(self.stages).index(name)
        return StagedClassifier({key: deepcopy(self.stages[key]) for key in list(self.stages)[position + 1 :]})

    def keep_classes(self, indices: Sequence[int]) -> None:
        """Cut the last linear layer down to the given outputs, in the given order.

        Raises:
            CheckpointError: The head has no linear layer, or an index is out of range.
        """
        layers = [module for module in self.stages["head"].modules() if isinstance(module, nn.Linear)]
        if not layers:
            raise CheckpointError("class_indices needs a network whose head ends in a linear layer")
        last = layers[-1]
        if not all(0 <= index < last.out_features for index in indices):
            raise CheckpointError(f"class_indices must lie between 0 and {last.out_features - 1}")
        rows = torch.tensor(list(indices))
        last.weight = nn.Parameter(last.weight.detach()[rows].clone())
        last.bias = nn.Parameter(last.bias.detach()[rows].clone())
        last.out_features = len(indices)


def build_backbone(spec: Mapping[str, Any], num_classes: int) -> StagedClassifier:
    """Build the network that a `BackboneSpec` names, with random weights."""
    family = importlib.import_module(f"sc2.backbones.{spec['name']}")
    built: StagedClassifier = family.build(num_classes, **spec["args"])
    return built


def stage_channels(model: StagedClassifier, name: str, size: int) -> int:
    """Return the number of channels that leave stage `name` for square inputs of `size` pixels."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        channels = int(model.up_to(name)(torch.zeros(1, 3, size, size)).shape[1])
    model.train(was_training)
    return channels
