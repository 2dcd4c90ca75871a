"""A learned image codec followed by the teacher as one network, for training (docs/papers.md#learned-codecs).

CompressAI's models are trained, and its published weights fit them. The two exported halves hold plain layers of the
same names instead (`sc2.methods.learned_codec.halves`), so that they run without CompressAI.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sc2.backbones.teacher import teacher_model
from sc2.data.normalise import normalise
from sc2.methods.learned_codec.images import IMAGES_AT_ONCE, denormalise, pad, unpad
from sc2.methods.learned_codec.params import AXIS, LearnedCodecArch
from sc2.methods.learned_codec.received import received
from sc2.split.method import BuildContext

if TYPE_CHECKING:
    from compressai.entropy_models import EntropyBottleneck


def build_codec(name: str, n: int, m: int) -> nn.Module:
    """Return CompressAI's model with a class name, e.g. `FactorizedPrior`, and fresh weights."""
    # Not at the top: the halves do not need it, and its import takes longer than most of their jobs.
    codec: nn.Module = getattr(importlib.import_module("compressai.models"), name)(n, m)
    return codec


class InputCompression(nn.Module):
    """Codec, cropping, normalisation, teacher: normalised images [B, 3, H, W] to the task's output.

    The teacher is not a submodule: it is frozen and known, and would only make checkpoints larger.

    Args:
        context: Its point is the quality, 1 … 8.
        codec: CompressAI's class name.
    """

    def __init__(self, context: BuildContext[LearnedCodecArch], codec: str) -> None:
        super().__init__()
        self.codec = build_codec(codec, *context.arch.widths(AXIS.parse(context.point)))
        self.pixels = context.input.pixels
        self._outside = (teacher_model(context.teacher),)

    @property
    def teacher(self) -> nn.Module:
        """The teacher."""
        return self._outside[0]

    def forward(self, x: Tensor) -> Any:
        """Compress images [B, 3, H, W], reconstruct them and run the teacher; in eval mode with the wire's values."""
        _, reconstructed, _ = self.reconstruct(x)
        return self.predict(reconstructed)

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return, for x [B, 3, H, W], original and reconstruction of that shape in [0, 1], and the batch's bits.

        In train mode latents get uniform noise, and the reconstruction is not clamped; in eval mode latents are
        quantised as on the wire. The bits are those of the densities.
        """
        images = denormalise(x, self.pixels)
        if not self.codec.training:
            arrived = [self._received(part) for part in images.split(IMAGES_AT_ONCE)]
            return images, torch.cat([image for image, _ in arrived]), torch.stack([bits for _, bits in arrived]).sum()
        coded = self.codec(pad(images))
        return images, unpad(coded["x_hat"], *images.shape[2:]), _bits(coded["likelihoods"].values())

    def _received(self, images: Tensor) -> tuple[Tensor, Tensor]:
        latent, likelihoods = received(self.codec, self.codec.get_submodule("g_a")(pad(images)))
        reconstructed = unpad(self.codec.get_submodule("g_s")(latent), *images.shape[2:])
        return reconstructed.clamp(0, 1), _bits(likelihoods)

    def predict(self, images: Tensor) -> Any:
        """Return the teacher's output for images [B, 3, H, W] in [0, 1]."""
        return self.teacher(normalise(images * 255, self.pixels))

    def transform_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of g_a and g_s; all others belong to the entropy model."""
        for name in ("g_a", "g_s"):
            yield from self.codec.get_submodule(name).parameters()

    @property
    def prior(self) -> EntropyBottleneck:
        """The factorised prior of y, or of z where there is a hyperprior."""
        bottleneck: EntropyBottleneck = self.codec.entropy_bottleneck
        return bottleneck


def _bits(likelihoods: Iterable[Tensor]) -> Tensor:
    return torch.stack([-torch.log2(values).sum() for values in likelihoods]).sum()
