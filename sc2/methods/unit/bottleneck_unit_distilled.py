"""Variable bit-rate bottleneck unit, trained without labels (Datta et al., arXiv 2208.11596).

Source: docs/papers.md#bottleneck-unit-distilled.

L = τ² KL(classes of the teacher ‖ classes of the teacher with the unit) + λ · bits.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sc2.methods.unit.method import BottleneckUnit
from sc2.methods.unit.params import DistilledTraining, UnitArch
from sc2.strict import Strict

if TYPE_CHECKING:
    from sc2.split.method import BuildContext
    from sc2.training.recipe import Recipe


class Phases(Strict):
    """The one training phase."""

    unit: DistilledTraining = DistilledTraining()


class Params(UnitArch):
    """The schedule; most of the architecture is given by the operating point."""

    phases: Phases = Phases()


class DistilledUnit(BottleneckUnit):
    """The published units without labels (curves US1, US2)."""

    Params = Params

    def unsupported(self, task: str) -> str | None:
        """Return the reason on every task except classification: it imitates a distribution over classes."""
        return None if task == "classification" else "it learns from the teacher's class probabilities"

    def training(self, params: Strict, context: BuildContext[UnitArch]) -> Recipe:
        """Return the recipe of `unit`: the divergence from the teacher's softened classes."""
        match params:
            case DistilledTraining():
                from sc2.methods.unit.training import distilled, unit_recipe

                return unit_recipe(params, context, partial(distilled, temperature=params.temperature))
        return super().training(params, context)


METHOD = DistilledUnit()
