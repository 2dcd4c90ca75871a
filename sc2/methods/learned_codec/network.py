"""A learned image codec and the teacher behind it as one network, for training (docs/papers.md#learned-codecs).

CompressAI's models are what is trained, and what its published weights fit. The two halves that are exported hold
plain layers of the same names instead (`sc2.methods.learned_codec.halves`), so that they run without CompressAI.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sc2.backbones.teacher import teacher_model
from sc2.data.normalise import normalise
from sc2.methods.learned_codec.images import IMAGES_AT_ONCE, denormalise, pad, unpad
from sc2.methods.learned_codec.received import received
from sc2.split.method import BuildContext

if TYPE_CHECKING:
    from compressai.entropy_models import EntropyBottleneck


def channels_of(arch: Mapping[str, Any], quality: str) -> tuple[int, int]:
    """Return (N, M) of a quality: `channels` has one pair for all of them, or one for each."""
    pairs: Sequence[Sequence[int]] = arch["channels"]
    n, m = pairs[0] if len(pairs) == 1 else pairs[int(quality) - 1]
    return n, m


def build_codec(name: str, n: int, m: int) -> nn.Module:
    """Return CompressAI's model of a class name, e.g. `FactorizedPrior`, with fresh weights."""
    # Not at the top: the halves need none of it, and it takes longer to import than most of their jobs run.
    made: nn.Module = getattr(importlib.import_module("compressai.models"), name)(n, m)
    return made


class InputCompression(nn.Module):
    """Codec, un-padding, normalisation, teacher: normalised images [B, 3, H, W] to the task's output.

    The teacher is no submodule: it is frozen and known, and would only make checkpoints larger.

    Args:
        context: Its `arch` has `channels`, its point is the quality, 1 … 8.
        codec: CompressAI's class name.
    """

    def __init__(self, context: BuildContext, codec: str) -> None:
        super().__init__()
        self.codec = build_codec(codec, *channels_of(context.arch, context.point))
        self.input = dict(context.input)
        self._outside = (teacher_model(context.teacher),)

    @property
    def reference(self) -> nn.Module:
        """The teacher."""
        return self._outside[0]

    def forward(self, x: Tensor) -> Any:
        """Compress, reconstruct and answer; in eval mode with what the wire carries."""
        _, reconstructed, _ = self.reconstruct(x)
        return self.answer(reconstructed)

    def reconstruct(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return original and reconstruction in [0, 1] (not clamped in training), and the bits of the batch.

        In train mode latents get uniform noise; in eval mode they are quantised as on the wire, and the bits are those
        of the densities.
        """
        images = denormalise(x, self.input)
        if not self.codec.training:
            arrived = [self._received(part) for part in images.split(IMAGES_AT_ONCE)]
            return images, torch.cat([image for image, _ in arrived]), torch.stack([bits for _, bits in arrived]).sum()
        found = self.codec(pad(images))
        return images, unpad(found["x_hat"], *images.shape[2:]), _bits(found["likelihoods"].values())

    def _received(self, images: Tensor) -> tuple[Tensor, Tensor]:
        latent, likelihoods = received(self.codec, self.codec.get_submodule("g_a")(pad(images)))
        reconstructed = unpad(self.codec.get_submodule("g_s")(latent), *images.shape[2:])
        return reconstructed.clamp(0, 1), _bits(likelihoods)

    def answer(self, images: Tensor) -> Any:
        """Return the teacher's output for images [B, 3, H, W] with values in [0, 1]."""
        return self.reference(normalise(images * 255, self.input))

    def transform_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of g_a and g_s; all others belong to the entropy model."""
        for name in ("g_a", "g_s"):
            yield from self.codec.get_submodule(name).parameters()

    @property
    def prior(self) -> EntropyBottleneck:
        """The factorised prior: of y, or of z where there is a hyperprior."""
        found: EntropyBottleneck = self.codec.entropy_bottleneck
        return found


def _bits(likelihoods: Iterable[Tensor]) -> Tensor:
    return torch.stack([-torch.log2(values).sum() for values in likelihoods]).sum()
