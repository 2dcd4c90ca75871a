"""Variable bit-rate bottleneck unit, trained without labels (Datta et al., arXiv 2208.11596).

Source: docs/papers.md#bottleneck-unit-distilled.

L = τ² KL(teacher's classes ‖ its classes with the unit) + λ · bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sc2.methods.unit.method import BottleneckUnit, UnitParams, UnitTraining
from sc2.strict import Strict

if TYPE_CHECKING:
    from sc2.methods.unit.training import Objective


class DistilledTraining(UnitTraining):
    """Schedule of a unit and the softening of what it imitates."""

    temperature: float = Field(default=1.0, gt=0, description="τ: softening of both distributions in the KL term")


class Phases(Strict):
    """The one training phase."""

    unit: DistilledTraining = DistilledTraining()


class Params(UnitParams):
    """The schedule; most of the architecture stands in the operating point."""

    phases: Phases = Phases()


class DistilledUnit(BottleneckUnit):
    """The published units without labels (curves US1, US2)."""

    Params = Params

    def unsupported(self, task: str) -> str | None:
        """It imitates a distribution over classes."""
        return None if task == "classification" else "it learns from the teacher's classes of the whole image"

    def objective(self, params: Mapping[str, Any]) -> Objective:
        """Return the divergence from the teacher's answer."""
        from sc2.methods.unit.training import distilled

        return partial(distilled, temperature=params["temperature"])


METHOD = DistilledUnit()
