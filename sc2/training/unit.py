"""A bottleneck unit as a recipe: the network around it is frozen, the unit and the density that prices its bits learn.

L = task + λ · bits per image. The task's loss sees the rounded latent (its gradient passes straight through); the bits
are those of the latent with uniform noise under a learned density. At the end the symbols of the training images are
counted: the tables on the wire are made of these counts alone.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sc2.layers.bottleneck_unit import UnitNetwork
from sc2.methods._bottleneck_unit import UnitPoint
from sc2.methods.base import BuildContext
from sc2.training.recipe import Recipe, Terms, classification_terms, one_cycle

Objective = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The task's loss, a mean over the batch, of: logits [B, K], the reference model's logits [B, K], labels [B]."""


def supervised(logits: Tensor, reference: Tensor, labels: Tensor) -> Tensor:
    """Return the cross entropy with the labels."""
    return functional.cross_entropy(logits, labels)


def distilled(logits: Tensor, reference: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    """Return τ² times the divergence from the reference model's softened classes; labels are not looked at."""
    log_student, log_teacher = (functional.log_softmax(x / temperature, dim=1) for x in (logits, reference))
    divergence = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def unit_recipe(params: Mapping[str, Any], context: BuildContext, point: UnitPoint, objective: Objective) -> Recipe:
    """Return the one phase of a unit.

    Args:
        params: The phase's parameters (`UnitTraining`).
        context: What the network is built from.
        point: Where the unit sits and how big it is.
        objective: The task's loss.
    """
    network = UnitNetwork(context, point)

    def terms(images: Tensor, labels: Tensor) -> Terms:
        features = network.features(images)
        latent = network.latent(features)
        logits = network.answer(latent)
        with torch.no_grad():
            reference = network.tail(features)
        # In validation the bits are those of the symbols themselves.
        noisy = latent + torch.rand_like(latent) - 0.5 if network.encoder.training else torch.round(latent)
        bits = network.prior.bits(noisy) / len(labels)
        task = objective(logits, reference, labels)
        return {"loss": task + params["bit_price"] * bits, "task": task, "bits": bits, "logits": logits}

    def step(images: Tensor, labels: Tensor) -> Terms:
        found = terms(images, labels)
        return {"loss": found["loss"], "task": found["task"].detach(), "bits": found["bits"].detach()}

    def validate(images: Tensor, labels: Tensor) -> Terms:
        found = terms(images, labels)
        sums = {name: found[name] * len(labels) for name in ("loss", "task", "bits")}
        return sums | dict(classification_terms(found["logits"], labels))

    def calibrate(batches: Iterable[Tensor]) -> None:
        network.counts.zero_()
        for images in batches:
            network.count(images)

    return Recipe(
        model=network,
        trained=[network.encoder, network.decoder, network.prior],
        frozen=[network.front, network.tail],
        step=step,
        optimizer=lambda parameters: _optimizer(parameters, network.prior, params),
        learning_rate=one_cycle(),
        epochs=params["epochs"],
        batch_size=params["batch_size"],
        validate=validate,
        select=("loss", "min"),
        calibrate=calibrate,
    )


def _optimizer(parameters: list[nn.Parameter], prior: nn.Module, params: Mapping[str, Any]) -> torch.optim.Optimizer:
    own = {id(parameter) for parameter in prior.parameters()}
    groups = [
        {"params": [p for p in parameters if id(p) not in own], "lr": params["lr"]},
        {"params": [p for p in parameters if id(p) in own], "lr": params["prior_lr"]},
    ]
    return torch.optim.Adam(groups)
