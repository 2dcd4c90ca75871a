"""Every network as a chain of named stages, so that no method needs to know the names inside a library's model.

A family's file offers `network(num_classes, **args)`, the model in its library's own layout (so that published weights
load), and `build(num_classes, **args)`, the same as a `StagedClassifier`.

A *cut* is a place where the chain can be divided (`cuts`): after a stage (`stem`, `layer1` …), after a block inside a
stage that is a chain of blocks (`layer4.0`), or between the head's pooling and its classifier (`avgpool`).
"""

import importlib
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from sc2.errors import CheckpointError, ConfigError

AVGPOOL = "avgpool"


class StagedClassifier(nn.Module):
    """A classifier as a chain of stages `stem, layer1 … layer4, head`, or a part of one before or after a cut.

    Input [B, C, H, W], output logits [B, classes]. A network may have fewer layers than four. The stages are children
    of `stages`, so that the output of a stage or block can be hooked at the path `stages.<cut>`. What lies before or
    after a cut keeps its names: `after("layer4.0")` has the blocks `layer4.1`, `layer4.2`.
    """

    def __init__(self, stages: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)

    def forward(self, x: Tensor) -> Tensor:
        """Run all stages in order."""
        for stage in self.stages.values():
            x = stage(x)
        return x

    def up_to(self, cut: str) -> "StagedClassifier":
        """Return a copy of what lies before a cut: what the device would run without a bottleneck.

        Raises:
            ConfigError: The network has no such cut; the message names those it has.
        """
        return StagedClassifier(deepcopy(_divided(self, cut)[0]))

    def after(self, cut: str) -> "StagedClassifier":
        """Return a copy of what follows a cut: what the server runs when the cut is there.

        Raises:
            ConfigError: The network has no such cut; the message names those it has.
        """
        return StagedClassifier(deepcopy(_divided(self, cut)[1]))

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
    """Build the network that a `BackboneSpec` names, with random weights.

    Raises:
        ConfigError: The network cannot be built with these arguments.
    """
    family = importlib.import_module(f"sc2.backbones.{spec['name']}")
    try:
        built: StagedClassifier = family.build(num_classes, **spec["args"])
    except (TypeError, ValueError, RuntimeError) as error:  # whatever the library makes of a wrong argument
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"the network {spec['name']} cannot be built with {dict(spec['args'])}: {reason}; change backbone.args"
        ) from error
    return built


def staged_by_resolution(features: nn.Sequential, head: nn.Module) -> StagedClassifier:
    """Return a chain of blocks as stages, each beginning with a block that halves the resolution.

    The stages `stem, layer1, layer2 …` have output strides 2, 4, 8 …; they share the weights of `features`.
    """
    blocks = list(features)
    starts = [position for position, block in enumerate(blocks) if _halves(block)]
    assert starts[0] == 0, "a stem that halves the resolution comes first"
    names = ["stem", *(f"layer{number}" for number in range(1, len(starts)))]
    bounds = zip(starts, [*starts[1:], len(blocks)], strict=True)
    stages = {name: nn.Sequential(*blocks[low:high]) for name, (low, high) in zip(names, bounds, strict=True)}
    return StagedClassifier({**stages, "head": head})


def cuts(model: StagedClassifier) -> list[str]:
    """Return the names of all cuts of a network in order, e.g. `stem, layer1.0, layer1, …, layer4.0, layer4, avgpool`.

    The place after the last block of a stage goes by the stage's name. There are no cuts inside the stem, inside a
    stage that is no chain of blocks, and inside a head that does not start with pooling.
    """
    names = []
    for stage, module in model.stages.items():
        if stage != "head":
            names += [*(f"{stage}.{block}" for block in _blocks(stage, module)[:-1]), stage]
        elif _pooling(module) is not None:
            names.append(AVGPOOL)
    return names


def module_path(model: StagedClassifier, cut: str) -> str:
    """Return the path of the module whose output is the tensor at a cut, for a hook.

    Raises:
        ConfigError: The network has no such cut.
    """
    stage, block = _place(model, cut)
    return f"stages.{stage}" if block is None else f"stages.{stage}.{block}"


def stage_shape(model: StagedClassifier, cut: str, size: int) -> tuple[int, ...]:
    """Return the shape (C, H, W) of the tensor at a cut for square images of `size` pixels; the model stays as it is.

    Raises:
        ConfigError: The network has no such cut.
    """
    # One image is run. The meta device would compute nothing, but torch loads its compiler for it: two seconds in each
    # of a workflow's many small jobs.
    before = StagedClassifier(_divided(_in_eval_mode(model), cut)[0])
    where = next((parameter.device for parameter in model.parameters()), None)
    with torch.no_grad():
        return tuple(before(torch.zeros(1, 3, size, size, device=where)).shape[1:])


def stage_channels(model: StagedClassifier, cut: str, size: int) -> int:
    """Return the number of channels of the tensor at a cut for square images of `size` pixels."""
    return stage_shape(model, cut, size)[0]


def _in_eval_mode(model: StagedClassifier) -> StagedClassifier:
    """Return a copy in eval mode that shares the weights."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return deepcopy(model, shared).eval()


def _divided(model: StagedClassifier, cut: str) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
    """Return the stages before and after a cut, sharing the model's modules."""
    stage, block = _place(model, cut)
    stages = dict(model.stages.items())
    position = list(stages).index(stage) + 1
    before, after = dict(list(stages.items())[:position]), dict(list(stages.items())[position:])
    if block is None:
        return before, after
    chain = stages[stage]
    assert isinstance(chain, nn.Sequential)
    # A slice of a Sequential keeps the names of its modules.
    length = [name for name, _ in chain.named_children()].index(block) + 1
    rest = chain[length:]
    return {**before, stage: chain[:length]}, {stage: rest, **after} if len(rest) else after


def _place(model: StagedClassifier, cut: str) -> tuple[str, str | None]:
    """Return the stage of a cut, and the block of it after which the cut lies; None for the whole stage."""
    stage, dot, block = cut.partition(".")
    if cut in model.stages:
        return cut, None
    if dot and stage in model.stages and block in _blocks(stage, model.stages[stage]):
        return stage, block
    pooling = _pooling(model.stages["head"]) if cut == AVGPOOL and "head" in model.stages else None
    if pooling is not None:
        return "head", pooling
    raise ConfigError(f"the network has no cut {cut!r}; there are: {', '.join(cuts(model))}")


def _blocks(stage: str, module: nn.Module) -> list[str]:
    chain = stage.startswith("layer") and isinstance(module, nn.Sequential)
    return [name for name, _ in module.named_children()] if chain else []


def _pooling(head: nn.Module) -> str | None:
    """Return the name of the pooling that a head starts with, if it does."""
    first = next(iter(head.named_children()), ("", None)) if isinstance(head, nn.Sequential) else ("", None)
    return first[0] if isinstance(first[1], nn.AdaptiveAvgPool2d) else None


def _halves(block: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d) and module.stride[0] > 1 for module in block.modules())
