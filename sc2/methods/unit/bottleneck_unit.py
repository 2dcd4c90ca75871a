"""Variable bit-rate bottleneck unit, trained with labels (Datta et al., arXiv 2208.11596).

Source: docs/papers.md#bottleneck-unit.

L = cross entropy + λ · bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sc2.methods.unit.method import BottleneckUnit
from sc2.methods.unit.params import UnitArch, UnitTraining
from sc2.strict import Strict

if TYPE_CHECKING:
    from sc2.split.method import BuildContext
    from sc2.training.recipe import Recipe


class Phases(Strict):
    """The one training phase."""

    unit: UnitTraining = UnitTraining()


class Params(UnitArch):
    """The schedule; most of the architecture is given by the operating point."""

    phases: Phases = Phases()


class SupervisedUnit(BottleneckUnit):
    """The published supervised units (curves S1, S2, S3)."""

    Params = Params

    def training(self, params: Strict, context: BuildContext[UnitArch]) -> Recipe:
        """Return the recipe of `unit`: the task's own loss, in classification the cross entropy with the labels."""
        match params:
            case UnitTraining():
                from sc2.methods.unit.training import supervised, unit_recipe

                return unit_recipe(params, context, supervised)
        return super().training(params, context)


METHOD = SupervisedUnit()
