"""Validation: the terms and the quality of a recipe on the validation split, without gradients."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from sc2.training.recipe import Recipe


class Validation:
    """The terms of a recipe in eval mode, batch after batch."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._sums: dict[str, float] = {}
        self._images = 0
        recipe.model.eval()
        if recipe.judge is not None:
            recipe.judge.begin()

    def add(self, images: Tensor, targets: Any) -> None:
        """Add a batch: images [B, 3, H, W] and their targets."""
        self._images += len(targets)
        with torch.no_grad():
            for name, value in self._recipe.validate(images, targets).items():
                self._sums[name] = self._sums.get(name, 0.0) + value.item()

    def result(self) -> dict[str, float]:
        """Return the terms per image and the judge's measure."""
        judged = self._recipe.judge.result() if self._recipe.judge is not None else {}
        return {name: value / self._images for name, value in self._sums.items()} | judged


def validate(recipe: Recipe, batches: Iterable[tuple[Tensor, Any]]) -> dict[str, float]:
    """Return the terms per image and the judge's measure for batches of images [B, 3, H, W] and their targets."""
    validation = Validation(recipe)
    for images, targets in batches:
        validation.add(images, targets)
    return validation.result()
