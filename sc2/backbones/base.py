"""Every network as a chain of named stages, so that no method needs to know the names inside a library's model.

A family's file provides `network(num_classes, **args)`, the model in its library's layout (so that published weights
load), and `build(num_classes, **args)`, the same as a `StagedModel`.

A *cut* is a place where the chain can be divided (`cuts`): after a stage (`stem`, `layer1` …), after a block inside a
stage that is a chain of blocks (`layer4.0`), or between the head's pooling and its classifier (`avgpool`).

A network for a dense task has *taps*: the stages whose outputs its head takes (`sc2/backbones/heads/`). Some of them
may serve only its loss: no prediction needs them, and a cut may lie after them.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from sc2.errors import ConfigError

AVGPOOL = "avgpool"


HEAD = "head"

Features = Tensor | dict[str, Tensor]
"""The input of a head: the last stage's output [B, C, H, W], or the taps' outputs by name, each [B, C, H, W]."""


class StagedModel(nn.Module):
    """A network as a chain of stages `stem, layer1 … layer4, head`, or a part of one before or after a cut.

    Input [B, C, H, W]; the output is the head's (logits [B, K] of a classifier), or the last stage's where there is no
    head. A network may have fewer than four layers. The stages are children of `stages`, so that the output of a stage
    or block can be hooked at the path `stages.<cut>`. The parts before and after a cut keep their names:
    `after("layer4.0")` has the blocks `layer4.1`, `layer4.2`.

    Attributes:
        stages: The stages in order.
        taps: Stages whose outputs the head takes, in order; empty where it takes the last stage's output. Only the
            first of them may be missing: its output is then the network's own input.
        loss_taps: The taps that only a loss of the head uses.
    """

    def __init__(
        self, stages: Mapping[str, nn.Module], taps: Sequence[str] = (), loss_taps: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleDict(stages)
        self.taps, self.loss_taps = tuple(taps), tuple(loss_taps)

    def forward(self, x: Tensor) -> Any:
        """Run all stages in order on x [B, C, H, W]."""
        features = self.features(x)
        return self.head(features) if HEAD in self.stages else features

    def features(self, x: Tensor) -> Features:
        """Run all stages except the head on x [B, C, H, W] and return the input of the head."""
        features = dict.fromkeys(self.taps[:1], x)
        last = x
        for name, last in self.outputs(x):
            if name in self.taps:
                features[name] = last
        return features if self.taps else last

    def outputs(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yield name and output of each stage except the head, in order, for x [B, C, H, W]."""
        for name, stage in self.stages.items():
            if name != HEAD:
                x = stage(x)
                yield name, x

    @property
    def head(self) -> nn.Module:
        """The last stage, which turns `features` into the output."""
        return self.stages[HEAD]

    def up_to(self, cut: str) -> "StagedModel":
        """Return a copy of the part before a cut: what the device would run without a bottleneck.

        Raises:
            ConfigError: The network has no such cut; the message lists its cuts.
        """
        return StagedModel(deepcopy(_divided(self, cut)[0]))

    def after(self, cut: str) -> "StagedModel":
        """Return a copy of the part after a cut: what the server runs.

        Taps before the cut that only a loss uses are dropped: their outputs are not sent over the link.

        Raises:
            ConfigError: The network has no such cut (the message lists its cuts), or the head needs the output of a
                stage before it for its predictions.
        """
        rest = _divided(self, cut)[1]
        missing = [tap for tap in self.taps if tap not in rest and tap != cut]
        needed = [tap for tap in missing if tap not in self.loss_taps]
        if needed:
            raise ConfigError(
                f"the head takes the output of {', '.join(needed)}, which lies before the cut {cut!r}: cut at "
                f"{needed[0]} or before"
            )
        return StagedModel(deepcopy(rest), [tap for tap in self.taps if tap not in missing], self.loss_taps)


def whole(classifier: nn.Module) -> StagedModel:
    """Return a classifier as a head without stages before it: there is no place to cut it.

    Args:
        classifier: From images [B, 3, H, W] to logits [B, K].
    """
    return StagedModel({HEAD: classifier})


def staged_by_resolution(features: nn.Sequential, head: nn.Module) -> StagedModel:
    """Divide a chain of blocks into stages, each starting with a block that halves the resolution.

    The stages `stem, layer1, layer2 …` have output strides 2, 4, 8 …; they share the weights of `features`.
    """
    blocks = list(features)
    starts = [position for position, block in enumerate(blocks) if _halves(block)]
    assert starts[0] == 0, "a stem that halves the resolution comes first"
    names = ["stem", *(f"layer{number}" for number in range(1, len(starts)))]
    bounds = zip(starts, [*starts[1:], len(blocks)], strict=True)
    stages = {name: nn.Sequential(*blocks[low:high]) for name, (low, high) in zip(names, bounds, strict=True)}
    return StagedModel({**stages, HEAD: head})


def cuts(model: StagedModel) -> list[str]:
    """Return the names of all cuts of a network in order, e.g. `stem, layer1.0, layer1, …, layer4.0, layer4, avgpool`.

    The cut after the last block of a stage has the stage's name. There are no cuts inside the stem, inside a stage
    that is not a chain of blocks, or inside a head that does not start with pooling.
    """
    names = []
    for stage, module in model.stages.items():
        if stage != HEAD:
            names += [*(f"{stage}.{block}" for block in _blocks(stage, module)[:-1]), stage]
        elif _pooling(module) is not None:
            names.append(AVGPOOL)
    return names


def module_path(model: StagedModel, cut: str) -> str:
    """Return the path, for a hook, of the module whose output is the tensor at a cut.

    Raises:
        ConfigError: The network has no such cut.
    """
    stage, block = _place(model, cut)
    return f"stages.{stage}" if block is None else f"stages.{stage}.{block}"


def stage_shape(model: StagedModel, cut: str, size: int) -> tuple[int, ...]:
    """Return the shape (C, H, W) of the tensor at a cut for square images of `size` pixels; the model is not changed.

    Raises:
        ConfigError: The network has no such cut.
    """
    # Runs one image. The meta device would compute nothing, but makes torch load its compiler: two seconds in each of a
    # workflow's many small jobs.
    before = _in_eval_mode(StagedModel(_divided(model, cut)[0]))
    with torch.no_grad():
        return tuple(before(_image(model, size)).shape[1:])


def stage_shapes(model: StagedModel, size: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes (C, H, W) of the outputs of all stages except the head, for square images of `size` pixels."""
    stages = {name: stage for name, stage in model.stages.items() if name != HEAD}
    x, shapes = _image(model, size), {}
    with torch.no_grad():
        for name, stage in _in_eval_mode(StagedModel(stages)).stages.items():
            x = stage(x)
            shapes[name] = tuple(x.shape[1:])
    return shapes


def stage_channels(model: StagedModel, cut: str, size: int = 64) -> int:
    """Return the number of channels of the tensor at a cut, determined on a square image of `size` pixels."""
    return stage_shape(model, cut, size)[0]


def _in_eval_mode(model: StagedModel) -> StagedModel:
    """Return a copy in eval mode that shares the weights."""
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return deepcopy(model, shared).eval()


def _image(model: nn.Module, size: int) -> Tensor:
    """Return a black image [1, 3, size, size] on the device of a model's weights."""
    where = next((parameter.device for parameter in model.parameters()), None)
    return torch.zeros(1, 3, size, size, device=where)


def _divided(model: StagedModel, cut: str) -> tuple[dict[str, nn.Module], dict[str, nn.Module]]:
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


def _place(model: StagedModel, cut: str) -> tuple[str, str | None]:
    """Return the stage of a cut, and the block in it after which the cut lies; None for the whole stage."""
    stage, dot, block = cut.partition(".")
    if cut in model.stages:
        return cut, None
    if dot and stage in model.stages and block in _blocks(stage, model.stages[stage]):
        return stage, block
    pooling = _pooling(model.head) if cut == AVGPOOL and HEAD in model.stages else None
    if pooling is not None:
        return HEAD, pooling
    there = ", ".join(cuts(model)) or "none, it is used as a whole (codecs, teacher_on_device)"
    raise ConfigError(f"the network has no cut {cut!r}; there are: {there}")


def _blocks(stage: str, module: nn.Module) -> list[str]:
    chain = stage.startswith("layer") and isinstance(module, nn.Sequential)
    return [name for name, _ in module.named_children()] if chain else []


def _pooling(head: nn.Module) -> str | None:
    """Return the name of the pooling layer that a head starts with, or None."""
    first = next(iter(head.named_children()), ("", None)) if isinstance(head, nn.Sequential) else ("", None)
    return first[0] if isinstance(first[1], nn.AdaptiveAvgPool2d) else None


def _halves(block: nn.Module) -> bool:
    return any(isinstance(module, nn.Conv2d) and module.stride[0] > 1 for module in block.modules())
