"""The entropy models that a bottleneck can have: how each is trained, and what the two ends of the link run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from torch import nn

from sc2.layers import priors as ends
from sc2.methods.student.hyper_transforms import (
    mean_scale_analysis,
    mean_scale_synthesis,
    scale_analysis,
    scale_synthesis,
)
from sc2.methods.student.params import BottleneckArch, HyperpriorArch

if TYPE_CHECKING:
    from sc2.methods.student.trained_priors import TrainedPrior

Transform = Callable[[int, int], nn.Sequential]
"""Makes h_a or h_s for the channels of y and z."""

A_contra = TypeVar("A_contra", bound=BottleneckArch, contravariant=True)


@dataclass(frozen=True)
class StudentPrior(Generic[A_contra]):
    """One way to model the latent; holds no state.

    Attributes:
        trained: Makes the module that is trained, for a method's architecture.
        ends: Makes the coders of both ends.
    """

    trained: "Callable[[A_contra], TrainedPrior]"
    ends: ends.PriorKind


# CompressAI, of which the trained modules are made, is imported only where one is built: the halves do without it.


def _factorized(arch: BottleneckArch) -> "TrainedPrior":
    from sc2.methods.student.trained_priors import FactorizedPrior

    return FactorizedPrior(arch.latent_channels)


def _hyperprior(analysis: Transform, synthesis: Transform) -> StudentPrior[HyperpriorArch]:
    def trained(arch: HyperpriorArch) -> "TrainedPrior":
        from sc2.methods.student.trained_priors import TrainedHyperprior

        channels = arch.latent_channels, arch.hyper_channels
        return TrainedHyperprior(*channels, analysis(*channels), synthesis(*channels))

    return StudentPrior(trained, ends.Hyperprior(analysis))


FACTORIZED = StudentPrior(_factorized, ends.FACTORIZED)
SCALE_HYPERPRIOR = _hyperprior(scale_analysis, scale_synthesis)
MEAN_SCALE_HYPERPRIOR = _hyperprior(mean_scale_analysis, mean_scale_synthesis)
