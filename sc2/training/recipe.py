"""What one phase of training has to say to the one loop."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sc2.training.judge import Judge
from sc2.training.spec import Schedule

Terms = dict[str, Tensor]
"""Scalars of one batch; `loss` is what gets minimised (or, in validation, compared)."""

LearningRate = Callable[[int, int], float]
"""Factor on the learning rate: `factor(step, total_steps)`."""


@dataclass
class Recipe:
    """One phase of training.

    Attributes:
        model: What is saved at the end of the phase.
        trained: Its parts that the phase trains.
        frozen: Modules whose weights and running statistics must not move; kept in eval mode, teacher included.
        step: Loss terms of a training batch: images float [B, 3, H, W] normalised, targets as the task collates them.
        optimizer: Makes the optimiser of the trained parameters.
        learning_rate: Factor on the learning rate at a fraction of the phase: `factor(step, total_steps)`.
        epochs: Passes over the training split.
        batch_size: Images per step.
        validate: Terms of a validation batch, summed over the split and divided by its images; gives its answers to
            the judge.
        judge: Scores the answers on the validation split; its number is a term as well.
        select: Term of validation that picks the epoch to keep, and its better direction; None keeps the last epoch.
        auxiliary: A loss of parameters with an optimiser of their own (quantiles of the entropy model).
        auxiliary_parameters: Those parameters; they are never given to the main optimiser.
        auxiliary_lr: Their learning rate (Adam).
        calibrate: Takes the images of each training batch once more, the kept weights in eval mode and without
            gradients: for what is counted on the training split rather than learned.
        finish: Called on the kept weights, before they are saved; not where nothing was trained.
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
    judge: Judge | None = None
    select: tuple[str, Literal["min", "max"]] | None = None
    auxiliary: Callable[[], Tensor] | None = None
    auxiliary_parameters: Sequence[nn.Parameter] = ()
    auxiliary_lr: float = 1e-3
    calibrate: Callable[[Iterable[Tensor]], None] | None = None
    finish: Callable[[], None] = field(default=lambda: None)

    def trained_parameters(self) -> list[nn.Parameter]:
        """Return what the main optimiser gets, without the auxiliary parameters, each once."""
        auxiliary = {id(parameter) for parameter in self.auxiliary_parameters}
        found = {id(p): p for module in self.trained for p in module.parameters() if id(p) not in auxiliary}
        return list(found.values())

    def set_modes(self) -> None:
        """Put what is trained in train mode and what is frozen in eval mode without gradients."""
        self.model.eval()
        for module in self.trained:
            module.train()
        for module in self.frozen:
            module.eval()
            module.requires_grad_(False)


def multi_step(milestones: Sequence[float], gamma: float) -> LearningRate:
    """Multiply the learning rate by `gamma` at each milestone, given as a fraction of the phase."""

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
    """Return the schedule that a phase's parameters name: `schedule`, and `milestones` and `gamma`, or `power`."""
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
    """Return an optimiser's groups, one per learning rate: parts of a head, and what is not in the head, may differ.

    Args:
        head: The head whose children `factors` names; what it has no parameter of in `parameters` is left out.
        parameters: All that the optimiser gets.
        factors: Factor on the learning rate by the child's name.
        lr: Learning rate of the rest.
        outside: Factor on the learning rate of what is not in the head.
    """
    factor_of = dict.fromkeys(map(id, head.parameters()), 1.0)
    for name, factor in factors.items():
        factor_of |= dict.fromkeys(map(id, head.get_submodule(name).parameters()), factor)
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(factor_of.get(id(parameter), outside), []).append(parameter)
    return [{"params": members, "lr": factor * lr} for factor, members in groups.items()]
