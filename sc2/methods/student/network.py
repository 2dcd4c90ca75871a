"""A backbone whose first stages are replaced by an entropy-coded bottleneck."""

from typing import Any

import torch
from torch import Tensor, nn

from sc2.backbones.base import Features, stage_channels
from sc2.backbones.teacher import teacher_model
from sc2.layers.bottleneck import analysis, synthesis
from sc2.methods.student.params import B, Prior
from sc2.methods.student.trained_priors import trained_prior
from sc2.split.method import BuildContext


class StudentNetwork(nn.Module):
    """g_a, prior, g_s and the rest of the teacher after the cut.

    Input [B, 3, H, W] normalised, H and W multiples of 4; output the task's. In training mode the latent gets uniform
    noise, in eval mode it is rounded as on the wire.
    """

    def __init__(self, context: BuildContext[B], prior: Prior) -> None:
        super().__init__()
        arch = context.arch
        teacher = teacher_model(context.teacher)
        self.encoder = analysis(arch.encoder_channels)
        with torch.no_grad():
            self.encoder[-1].weight.mul_(arch.latent_gain)  # type: ignore[operator]  # modules are looked up by name
        self.prior = trained_prior(prior, arch)
        channels = stage_channels(teacher, arch.cut)
        ends = {"norm": arch.output_norm, "relu": arch.output_relu}
        self.decoder = synthesis(arch.latent_channels, arch.decoder_channels, channels, **ends)
        self.tail = teacher.after(arch.cut).requires_grad_(True)

    @property
    def head(self) -> nn.Module:
        """The part after the body."""
        return self.tail.head

    def features(self, x: Tensor) -> Features:
        """Return the head's input for images [B, 3, H, W]."""
        y_hat, _ = self.prior(self.encoder(x))
        return self.tail.features(self.decoder(y_hat))

    def forward(self, x: Tensor) -> Any:
        """Run the whole split on images [B, 3, H, W] in one process."""
        return self.head(self.features(x))
