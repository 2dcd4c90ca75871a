"""Training of a learned image codec on a benchmark's own images: L = λ · 255² · MSE + bits per pixel.

Source: docs/papers.md#learned-codecs.

The teacher is not part of the loss: it only measures the task's quality of the reconstructions on the validation split.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sc2.entropy.densities import settle
from sc2.methods.learned_codec.network import InputCompression
from sc2.methods.learned_codec.params import AXIS, LearnedCodecArch, Train
from sc2.methods.learned_codec.published import load_published
from sc2.methods.learned_codec.wavelet_start import wavelet_start
from sc2.split.method import BuildContext
from sc2.training.judge import Judge
from sc2.training.recipe import Recipe, Terms, one_cycle

PEAK = 255.0


class ClippedAdam(torch.optim.Adam):
    """Adam on gradients whose common norm is at most `largest_norm`.

    The inverse GDN multiplies, so one unlucky step can blow up the reconstruction and with it the next gradient.
    """

    def __init__(self, groups: list[dict[str, Any]], *, largest_norm: float) -> None:
        super().__init__(groups)
        self.largest_norm = largest_norm

    def step(self, closure: Any = None) -> Any:
        """Clip the gradients and take one step."""
        nn.utils.clip_grad_norm_([p for group in self.param_groups for p in group["params"]], self.largest_norm)
        return super().step(closure)


def rate_distortion_recipe(params: Train, context: BuildContext[LearnedCodecArch], codec: str) -> Recipe:
    """Return the recipe of the phase `train`.

    Args:
        params: The phase's parameters.
        context: Its point is the quality, an index into `lambdas` that starts at 1.
        codec: CompressAI's class name.

    Raises:
        CheckpointError: `start` is `published`, and there are no such weights or they do not fit.
        DataError: Their file is missing or has another hash.
    """
    network, judge = InputCompression(context, codec), Judge(context.task, context.num_classes)
    price = params.lambdas[AXIS.parse(context.point) - 1]
    weight = price * PEAK**2
    _start(network, params, context.point, price)

    def terms(images: Tensor) -> tuple[Terms, Tensor]:
        original, reconstructed, bits = network.reconstruct(images)
        mse = functional.mse_loss(reconstructed, original)
        bpp = bits / (images.shape[0] * images.shape[2] * images.shape[3])
        return {"loss": weight * mse + bpp, "mse": PEAK**2 * mse.detach(), "bpp": bpp.detach()}, reconstructed

    def step(images: Tensor, targets: Any) -> Terms:
        return terms(images)[0]

    def validate(images: Tensor, targets: Any) -> Terms:
        means, reconstructed = terms(images)
        judge.add(network.predict(reconstructed), targets)
        return {name: value * len(targets) for name, value in means.items()}

    return Recipe(
        model=network,
        trained=[network.codec],
        frozen=[network.teacher],
        step=step,
        optimizer=lambda parameters: _adam(parameters, network, params),
        learning_rate=one_cycle(),
        epochs=params.epochs,
        batch_size=params.batch_size,
        validate=validate,
        judge=judge,
        select=("loss", "min"),
        auxiliary=network.prior.loss,
        auxiliary_parameters=[network.prior.quantiles],
        auxiliary_lr=params.quantiles_lr,
        finish=partial(settle, network.prior),
    )


def _start(network: InputCompression, params: Train, quality: str, price: float) -> None:
    """Set the codec's weights to those that its training starts from."""
    if params.start == "published":
        load_published(network.codec, params.weights, quality)
    if params.start == "wavelet":
        wavelet_start(network.codec, price)


def _adam(parameters: list[nn.Parameter], network: InputCompression, params: Train) -> torch.optim.Optimizer:
    """Return Adam with the entropy model as a second group with its own learning rate."""
    transforms = [*network.transform_parameters()]
    known = {id(parameter) for parameter in transforms}
    rest = [parameter for parameter in parameters if id(parameter) not in known]
    groups = [{"params": transforms, "lr": params.lr}, {"params": rest, "lr": params.entropy_lr}]
    return ClippedAdam(groups, largest_norm=params.clip_norm)
