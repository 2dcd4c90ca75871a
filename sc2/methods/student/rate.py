"""Training on targets at a price of bits, without a teacher: L = task + β · bits, per image.

Source: docs/papers.md#end-to-end and docs/papers.md#fine-tuned-split.
"""

from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.teacher import head_of
from sc2.methods.student.params import RatePriced
from sc2.methods.student.trained_priors import TrainedPrior
from sc2.split.method import A, BuildContext
from sc2.training.hints import PRIOR, Hooked, Outputs, bits
from sc2.training.judge import Judge
from sc2.training.recipe import LearningRate, Recipe, Terms


def rate_recipe(
    network: nn.Module, params: RatePriced, beta: float, learning_rate: LearningRate, context: BuildContext[A]
) -> Recipe:
    """Train a whole network that has a `prior`; the epoch with the lowest loss is kept.

    Args:
        network: Its children are trained; input [B, 3, H, W] normalised, output the task's.
        params: The phase's parameters.
        beta: Price of a bit, in units of the task's loss (nats of cross entropy).
        learning_rate: Schedule, see `Recipe.learning_rate`.
        context: What the network was built from.
    """
    hooked, prior = Hooked(network, [PRIOR]), network.get_submodule(PRIOR)
    task, judge, head = context.task, Judge(context.task, context.num_classes), head_of(network)
    assert isinstance(prior, TrainedPrior)

    def priced(losses: Terms, outputs: Outputs) -> Terms:
        rate = bits(outputs)
        return {**losses, "loss": losses["loss"] + beta * rate, "task": losses["loss"].detach(), "bits": rate.detach()}

    def step(images: Tensor, targets: Any) -> Terms:
        features, outputs = hooked.run(images)
        sums = priced(task.losses(head, features, targets, summed=True), outputs)
        return {name: value / len(targets) for name, value in sums.items()}

    def validate(images: Tensor, targets: Any) -> Terms:
        features, outputs = hooked.run(images)
        output = head(features)
        judge.add(output, targets)
        return priced(task.losses(head, features, targets, output=output, summed=True), outputs)

    return Recipe(
        model=network,
        trained=list(network.children()),
        step=step,
        optimizer=lambda parameters: _adam(parameters, prior, params),
        learning_rate=learning_rate,
        epochs=params.epochs,
        batch_size=params.batch_size,
        validate=validate,
        judge=judge,
        select=("loss", "min"),
        auxiliary=prior.quantiles_loss,
        auxiliary_parameters=prior.quantiles(),
        auxiliary_lr=params.quantiles_lr,
        finish=prior.settle,
        calibrate=prior.counting(network.get_submodule("encoder")),
    )


def _adam(parameters: list[nn.Parameter], prior: nn.Module, params: RatePriced) -> torch.optim.Optimizer:
    """Return Adam with the density of the entropy model as a second group with its own learning rate."""
    density = {id(parameter) for parameter in prior.parameters()}
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in parameters if id(parameter) not in density]},
        {
            "params": [parameter for parameter in parameters if id(parameter) in density],
            "lr": params.lr * params.prior_lr_factor,
        },
    ]
    return torch.optim.Adam(groups, lr=params.lr, weight_decay=params.weight_decay)
