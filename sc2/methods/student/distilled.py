"""Base of the Entropic Students, which imitate the teacher first and then learn the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sc2.methods.student.method import BottleneckMethod
from sc2.methods.student.params import Distill, Finetune, S
from sc2.split.method import BuildContext
from sc2.strict import Strict

if TYPE_CHECKING:
    from sc2.training.recipe import Recipe


class DistilledMethod(BottleneckMethod[S]):
    """A bottleneck that imitates the teacher first and then learns the task; the recipes are in `training.py`."""

    def training(self, params: Strict, context: BuildContext[S]) -> Recipe:
        """Return the recipe of `distill` or `finetune`."""
        from sc2.methods.student.training import distill_recipe, finetune_recipe

        match params:
            case Distill():
                return distill_recipe(params, context, self.prior)
            case Finetune():
                return finetune_recipe(params, context, self.prior)
        return super().training(params, context)
