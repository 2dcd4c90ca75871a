"""What the training loop needs to know about one phase."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sc2.training.judge import Judge
from sc2.training.reference import Reference
from sc2.training.spec import Schedule

Terms = dict[str, Tensor]
"""Scalars of one batch; `loss` is minimised in training and compared in validation."""

LearningRate = Callable[[int, int], float]
"""Factor on the learning rate: `factor(step, total_steps)`."""


@dataclass
class Recipe:
    """One phase of training.

    Attributes:
        model: The network that is saved at the end of the phase.
        trained: The parts of it that the phase trains.
        frozen: Modules whose weights and running statistics must not change; kept in eval mode, teacher included.
        reference: The teacher, where it is a network of its own that the batch alone determines the outputs of.
        step: Loss terms of a training batch: images float [B, 3, H, W] normalised, targets as the task collates them.
        summed: Terms of `step` that are sums over the batch; the others are means over its images.
        optimizer: Builds the optimiser of the trained parameters.
        learning_rate: Factor on the learning rate at a fraction of the phase: `factor(step, total_steps)`.
        epochs: Passes over the training split.
        batch_size: Images per step.
        validate: Terms of a validation batch, summed over the split and divided by the number of images; passes the
            network's output to the judge.
        judge: Scores the predictions on the validation split; its measure is a term as well.
        select: Term of validation that picks the epoch to keep, and its better direction; None keeps the last epoch.
        auxiliary: A loss of parameters that have a separate optimiser (quantiles of the entropy model).
        auxiliary_parameters: Those parameters; the main optimiser never gets them.
        auxiliary_lr: Their learning rate (Adam).
        progress: Called before each step with the fraction of the phase that is over, for losses that change with it.
        clip: Largest norm of a step's gradient; longer ones are scaled down to it.
        finish: Called with the kept weights, before they are saved; not called where nothing was trained.
        calibrate: Receives the images [B, 3, H, W] of each training batch once more after `finish`, with the kept
            weights in eval mode and without gradients: for what is counted on the training split, not learned.
    """

    model: nn.Module
    trained: Sequence[nn.Module]
    step: Callable[[Tensor, Any], Terms]
    optimizer: Callable[[list[nn.Parameter]], torch.optim.Optimizer]
    learning_rate: LearningRate
    epochs: int
    batch_size: int
    validate: Callable[[Tensor, Any], Terms]
    frozen: Sequence[nn.Module] = ()
    reference: Reference | None = None
    summed: Sequence[str] = ()
    judge: Judge | None = None
    select: tuple[str, Literal["min", "max"]] | None = None
    auxiliary: Callable[[], Tensor] | None = None
    auxiliary_parameters: Sequence[nn.Parameter] = ()
    auxiliary_lr: float = 1e-3
    calibrate: Callable[[Iterable[Tensor]], None] | None = None
    progress: Callable[[float], None] = field(default=lambda _done: None)
    clip: float | None = None
    finish: Callable[[], None] = field(default=lambda: None)

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the main optimiser: all trained ones except auxiliary and frozen ones, each once."""
        others = {id(parameter) for parameter in self.auxiliary_parameters}
        others |= {id(parameter) for module in self.frozen for parameter in module.parameters()}
        by_id = {id(p): p for module in self.trained for p in module.parameters() if id(p) not in others}
        return list(by_id.values())

    def share_teacher(self, other: "Recipe") -> None:
        """Let the teacher of another recipe, which has the same weights, run for this one too, if both have one."""
        if self.reference is None or other.reference is None:
            return
        own = self.reference.network
        self.reference.follow(other.reference)
        self.frozen = [other.reference.network if module is own else module for module in self.frozen]

    def set_modes(self) -> None:
        """Put the trained parts in train mode and the frozen modules in eval mode without gradients."""
        self.model.eval()
        for module in self.trained:
            module.train()
        for module in self.frozen:
            module.eval()
            module.requires_grad_(False)


def parted(stages: Mapping[str, nn.Module] | nn.ModuleDict, trained: Sequence[str]) -> tuple[list[nn.Module], ...]:
    """Divide the stages of a network: those that are trained, which get gradients, and the others, which do not."""
    learning = [stage for name, stage in stages.items() if name in trained]
    kept = [stage for name, stage in stages.items() if name not in trained]
    for stage in (*learning, *kept):
        stage.requires_grad_(stage in learning)
    return learning, kept


def multi_step(milestones: Sequence[float], gamma: float) -> LearningRate:
    """Multiply the learning rate by `gamma` at each milestone; milestones are fractions of the phase."""

    def factor(step: int, total: int) -> float:
        return float(gamma ** sum(step >= milestone * total for milestone in milestones))

    return factor


def one_cycle(warmup: float = 0.2) -> LearningRate:
    """Rise linearly over the `warmup` fraction, then fall along a cosine to zero."""

    def factor(step: int, total: int) -> float:
        position = (step + 1) / total
        if position < warmup:
            return position / warmup
        rest = (position - warmup) / (1 - warmup)
        return float(0.5 * (1 + torch.cos(torch.tensor(rest * torch.pi)).item()))

    return factor


def cosine() -> LearningRate:
    """Fall along a cosine from the full learning rate at the first step towards zero after the last."""

    def factor(step: int, total: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * step / total))

    return factor


def polynomial(power: float) -> LearningRate:
    """Fall as (1 - step / total) to a power, as is usual in segmentation (docs/papers.md#deeplabv3)."""

    def factor(step: int, total: int) -> float:
        return float((1 - step / total) ** power)

    return factor


def schedule(params: Schedule) -> LearningRate:
    """Return the schedule named by a phase's parameters: `schedule`, with `milestones` and `gamma`, or `power`."""
    named: dict[str, Callable[[], LearningRate]] = {
        "cosine": cosine,
        "one_cycle": one_cycle,
        "poly": lambda: polynomial(params.power),
        "multi_step": lambda: multi_step(params.milestones, params.gamma),
    }
    return named[params.schedule]()


def by_part(
    head: nn.Module,
    parameters: Sequence[nn.Parameter],
    factors: Mapping[str, float],
    lr: float,
    *,
    outside: float = 1.0,
) -> list[Any]:
    """Return an optimiser's parameter groups, one per learning rate: parts of the head, and the rest, may differ.

    Args:
        head: The head whose children `factors` names; those without a parameter in `parameters` are ignored.
        parameters: All parameters of the optimiser.
        factors: Factor on the learning rate by the child's name.
        lr: Learning rate before any factor.
        outside: Factor on the learning rate of the parameters outside the head.
    """
    factor_of = dict.fromkeys(map(id, head.parameters()), 1.0)
    for name, factor in factors.items():
        factor_of |= dict.fromkeys(map(id, head.get_submodule(name).parameters()), factor)
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(factor_of.get(id(parameter), outside), []).append(parameter)
    return [{"params": members, "lr": factor * lr} for factor, members in groups.items()]
