"""An entropy model of the bottleneck: the module that is trained, and the coders at the two ends of the link."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from sc2.layers import priors as ends
from sc2.methods.student.params import BottleneckArch

if TYPE_CHECKING:
    from sc2.methods.student.trained_priors import TrainedPrior

A_contra = TypeVar("A_contra", bound=BottleneckArch, contravariant=True)


@dataclass(frozen=True)
class StudentPrior(Generic[A_contra]):
    """One way to model the latent; stateless.

    Attributes:
        trained: Builds the module that is trained, for a method's architecture. It imports CompressAI itself, because
            the halves do not need it, and the import takes longer than most of their jobs.
        ends: Builds the coders of both ends.
    """

    trained: "Callable[[A_contra], TrainedPrior]"
    ends: ends.PriorKind


def _factorized(arch: BottleneckArch) -> "TrainedPrior":
    from sc2.methods.student.trained_priors import FactorizedPrior

    return FactorizedPrior(arch.latent_channels, mixed=arch.quantiser == "mixed", neighbours=arch.coder == "neighbours")


FACTORIZED = StudentPrior(_factorized, ends.FACTORIZED)
