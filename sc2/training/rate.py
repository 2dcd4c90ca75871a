"""Training on labels at a rate price, without a reference model: L = CE + β · bits, per image (spec 1.9, 1.11)."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sc2.layers.trained_priors import TrainedPrior
from sc2.training.hints import PRIOR, Hooked, bits
from sc2.training.recipe import Recipe, Terms, classification_terms


def rate_recipe(
    network: nn.Module, params: Mapping[str, Any], beta: float, learning_rate: Callable[[int, int], float]
) -> Recipe:
    """Train all of a network with a `prior`; the epoch of the lowest loss is kept.

    Args:
        network: Its children are trained; input [B, 3, H, W] normalised, output logits [B, classes].
        params: The phase's `epochs`, `batch_size`, `lr`, `weight_decay`, `prior_lr_factor` and `quantiles_lr`.
        beta: Price of a bit, in nats of cross entropy.
        learning_rate: Schedule, see `Recipe.learning_rate`.
    """
    hooked, prior = Hooked(network, [PRIOR]), network.get_submodule(PRIOR)
    assert isinstance(prior, TrainedPrior)

    def terms(images: Tensor, labels: Tensor) -> Terms:
        """Sums over the batch."""
        logits, outputs = hooked.run(images)
        error, rate = functional.cross_entropy(logits, labels, reduction="sum"), bits(outputs)
        sums = {"loss": error + beta * rate, "cross_entropy": error.detach(), "bits": rate.detach()}
        return sums | dict(classification_terms(logits, labels))

    def step(images: Tensor, labels: Tensor) -> Terms:
        found = terms(images, labels)
        return {name: found[name] / len(labels) for name in ("loss", "cross_entropy", "bits")}

    def optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        density = {id(parameter) for parameter in prior.parameters()}
        groups: list[dict[str, Any]] = [
            {"params": [parameter for parameter in parameters if id(parameter) not in density]},
            {
                "params": [parameter for parameter in parameters if id(parameter) in density],
                "lr": params["lr"] * params["prior_lr_factor"],
            },
        ]
        return torch.optim.Adam(groups, lr=params["lr"], weight_decay=params["weight_decay"])

    return Recipe(
        model=network,
        trained=list(network.children()),
        step=step,
        optimizer=optimizer,
        learning_rate=learning_rate,
        epochs=params["epochs"],
        batch_size=params["batch_size"],
        validate=terms,
        select=("loss", "min"),
        auxiliary=prior.quantiles_loss,
        auxiliary_parameters=prior.quantiles(),
        auxiliary_lr=params["quantiles_lr"],
        finish=prior.settle,
    )
