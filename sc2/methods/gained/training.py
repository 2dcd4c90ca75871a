"""The joint recipe: one phase in which the task, the teacher and the price of bits all reach the encoder.

    L = task + γ Σ_k ‖s_k - t_k‖² / ‖t_k‖² + λ_r · bits

Every image of a batch has a random rate r of its own. In classification the task is α CE + (1 - α) τ² KL to the
teacher, otherwise its own loss. Bits are those under uniform noise; the decoder gets rounded symbols with the gradient
of unrounded ones (Minnen and Singh, arXiv 2007.08739). A phase can begin with the features of the cut alone
(`features_first`); what follows is another loss, for which optimiser and learning rate begin anew. With an encoder
reused from another benchmark, encoder, gains and tables are frozen and decoder and tail learn the task for all rates.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sc2.backbones.base import StagedModel
from sc2.backbones.teacher import take_over, teacher_model
from sc2.methods.gained.network import GainedNetwork
from sc2.methods.gained.params import A, Joint
from sc2.methods.gained.transforms import Transforms
from sc2.split.method import BuildContext
from sc2.training.judge import Judge
from sc2.training.recipe import LearningRate, Recipe, Terms, one_cycle

PART = "features_only"
"""Key of the optimiser's groups: whether their last step was on the features alone."""
FIRST_PRICE = 0.05
"""Factor on the prices while they do not yet count in full."""


def joint_recipe(params: Joint, context: BuildContext[A], transforms: Transforms[A]) -> Recipe:
    """Return the recipe of the one phase."""
    network, teacher = GainedNetwork(context, transforms), teacher_model(context.teacher)
    device_side: list[nn.Module] = [network.encoder, network.gain, network.prior]
    if context.encoder is not None:
        take_over(network, context.encoder, ("encoder", "gain", "prior"))
    losses = _Losses(network, teacher, params, context)
    # A batch has all rates mixed, whose statistics are not those of any one.
    norms = [module for module in network.tail.modules() if isinstance(module, _BatchNorm)]
    own = [] if context.encoder is not None else device_side
    recipe = Recipe(
        model=network,
        trained=[*own, network.decoder, network.tail],
        frozen=[*norms, *(device_side if context.encoder is not None else []), teacher],
        step=losses.step,
        optimizer=lambda parameters: _adam(parameters, network, params, losses.schedule),
        learning_rate=_in_parts(params),
        epochs=params.epochs,
        batch_size=params.batch_size,
        validate=losses.validate,
        judge=losses.judge,
        progress=losses.schedule.at,
        clip=params.clip,
    )
    if context.encoder is None:
        recipe.calibrate = network.count
    return recipe


@dataclass
class _Schedule:
    """What changes during the phase.

    Attributes:
        params: The phase's parameters.
        done: Fraction of the phase that is over.
    """

    params: Joint
    done: float = 1.0

    def at(self, done: float) -> None:
        """Go to a fraction of the phase."""
        self.done = done

    @property
    def features_only(self) -> bool:
        """Whether the stages after the cut are not run."""
        return self.done < self.params.features_first

    @property
    def price(self) -> float:
        """Factor on the prices."""
        first = self.params.features_first
        rest = (self.done - first) / (1 - first)
        if rest >= self.params.price_ramp:
            return 1.0
        return FIRST_PRICE + (1 - FIRST_PRICE) * max(0.0, rest) / self.params.price_ramp


class _Losses:
    """The loss of a batch, in training and in validation."""

    def __init__(self, network: GainedNetwork, teacher: StagedModel, params: Joint, context: BuildContext[Any]) -> None:
        self.network, self.teacher, self.params, self.task = network, teacher, params, context.task
        self.hints = context.arch.hints
        self.prices = torch.tensor(context.arch.prices)
        self.imitation = context.task.imitation(alpha=params.alpha, temperature=params.temperature)
        self.judge = Judge(context.task, context.num_classes)
        self.schedule = _Schedule(params)

    def step(self, images: Tensor, targets: Any) -> Terms:
        """Return the terms of a training batch, per image."""
        # A number per image, so that processes that share a batch can each draw for its own images.
        chosen = (len(self.prices) * torch.rand_like(images[:, 0, 0, 0])).long()
        rates = self.network.trained(chosen)
        latent = self.network.latent(images, rates)
        bits = self.network.prior.bits(latent + torch.rand_like(latent) - 0.5, rates)
        rounded = latent + (torch.round(latent) - latent).detach()
        decoded = self.network.decoded(rounded, rates)
        priced = self._priced(bits, chosen).mean() * self.schedule.price
        if self.schedule.features_only:
            with torch.no_grad():
                reference = {self.network.cut: self._at_cut(images)}
            hints = self._hints({self.network.cut: decoded}, reference)
            return {
                "loss": self.params.hint_weight * hints + priced,
                "task": torch.zeros_like(priced),  # not yet; every step has the same terms
                "hints": hints.detach(),
                "bits": bits.mean().detach(),
            }
        features, outputs = self.network.rest(decoded)
        reference, output = self._reference(images)
        hints = self._hints(outputs, reference)
        task = self._task(features, output, targets)
        loss = task + self.params.hint_weight * hints + priced
        return {"loss": loss, "task": task.detach(), "hints": hints.detach(), "bits": bits.mean().detach()}

    def validate(self, images: Tensor, targets: Any) -> Terms:
        """Return the terms of a validation batch, summed; the trained rates take turns."""
        chosen = torch.arange(len(images), device=images.device) % len(self.prices)
        rates = self.network.trained(chosen)
        symbols = torch.round(self.network.latent(images, rates))
        features, _ = self.network.rest(self.network.decoded(symbols, rates))
        output = self.network.head(features)
        self.judge.add(output, targets)
        bits = self.network.prior.bits(symbols, rates)
        sums = self.task.losses(self.network.head, features, targets, output=output, summed=True)
        return {**sums, "loss": sums["loss"] + self._priced(bits, chosen).sum(), "bits": bits.sum()}

    def _priced(self, bits: Tensor, chosen: Tensor) -> Tensor:
        """Return the cost [B] of bits [B] at the prices of the chosen rates [B]."""
        self.prices = self.prices.to(bits)  # once: a copy to a GPU would be waited for in every step
        return self.prices[chosen] * bits

    def _at_cut(self, images: Tensor) -> Tensor:
        """Return the teacher's features [B, C, H, W] at the cut; no stage after it is run."""
        return next(output for name, output in self.teacher.outputs(images) if name == self.network.cut)

    def _reference(self, images: Tensor) -> tuple[dict[str, Tensor], Any]:
        assert not self.teacher.training, "the teacher must be in eval mode"
        with torch.no_grad():
            outputs = dict(self.teacher.outputs(images))
            if self.imitation is None:
                return outputs, None
            return outputs, self.teacher.head(outputs[next(reversed(outputs))])

    def _task(self, features: Any, reference: Any, targets: Any) -> Tensor:
        if self.imitation is None:
            return self.task.losses(self.network.head, features, targets)["loss"]
        loss: Tensor = self.imitation(self.network.head(features), reference, targets)
        return loss

    def _hints(self, outputs: Mapping[str, Tensor], reference: Mapping[str, Tensor]) -> Tensor:
        errors = [
            (_energy(outputs[name] - reference[name]) / _energy(reference[name])).mean()
            for name in self.hints
            if name in outputs
        ]
        return torch.stack(errors).sum()


def _energy(features: Tensor) -> Tensor:
    """Return the sum of squares of each image [B] of features [B, …]."""
    return features.square().flatten(1).sum(1)


def _in_parts(params: Joint) -> LearningRate:
    """Return the schedule: one cycle, or one each for the part with the features alone and for the rest."""
    cycle = one_cycle(params.warmup)

    def factor(step: int, total: int) -> float:
        first = math.ceil(params.features_first * total)
        return cycle(step, first) if step < first else cycle(step - first, total - first)

    return factor


def _adam(
    parameters: list[nn.Parameter], network: GainedNetwork, params: Joint, schedule: _Schedule
) -> torch.optim.Optimizer:
    """Return Adam with a learning rate each for networks, for what is per rate, and for the stages after the cut.

    It forgets its moments when the part with the features alone is over: those of that small loss would let the steps
    on the whole one be many times too large.
    """
    per_rate = {id(p) for name, p in network.named_parameters() if "log_factor" in name or name.startswith("prior.")}
    tail = {id(parameter) for parameter in network.tail.parameters()}
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        factor = 1.0
        if id(parameter) in per_rate:
            factor = params.prior_lr_factor
        elif id(parameter) in tail:
            factor = params.tail_lr_factor
        groups.setdefault(factor, []).append(parameter)
    own_rates = [{"params": own, "lr": factor * params.lr} for factor, own in groups.items()]
    # Fused: one pass over each weight. There are many small ones, and one by one they took 15 % of a step.
    adam = torch.optim.Adam(own_rates, lr=params.lr, fused=True)

    def begin_anew(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        # Kept with the groups, the part is in the saved state: a training that goes on clears no more and no less.
        if optimizer.param_groups[0].get(PART, schedule.features_only) != schedule.features_only:
            optimizer.state.clear()
        for group in optimizer.param_groups:
            group[PART] = schedule.features_only

    adam.register_step_pre_hook(begin_anew)
    return adam
