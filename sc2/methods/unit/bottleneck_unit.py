"""Variable bit-rate bottleneck unit, trained with labels (Datta et al., arXiv 2208.11596).

Source: docs/papers.md#bottleneck-unit.

L = cross entropy + λ · bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sc2.methods.unit.method import BottleneckUnit, UnitParams, UnitTraining
from sc2.strict import Strict

if TYPE_CHECKING:
    from sc2.methods.unit.training import Objective


class Phases(Strict):
    """The one training phase."""

    unit: UnitTraining = UnitTraining()


class Params(UnitParams):
    """The schedule; most of the architecture stands in the operating point."""

    phases: Phases = Phases()


class SupervisedUnit(BottleneckUnit):
    """The published supervised units (curves S1, S2, S3)."""

    Params = Params

    def objective(self, params: Mapping[str, Any]) -> Objective:
        """Return the cross entropy with the labels."""
        from sc2.methods.unit.training import supervised

        return supervised


METHOD = SupervisedUnit()
