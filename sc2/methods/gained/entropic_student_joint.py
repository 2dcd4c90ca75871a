"""The Entropic Student's own network with the joint recipe (ours; docs/method.md).

Encoder and decoder are those of `entropic_student`, to which only gains per rate are added; the training is that of
`gained_student`. It shows what the recipe gives without the new network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sc2.methods.gained.method import GainedMethod
from sc2.methods.gained.params import StridedArch, StridedParams

if TYPE_CHECKING:
    from sc2.methods.gained.transforms import Transforms


class EntropicStudentJoint(GainedMethod[StridedArch]):
    """The method as the workflow sees it."""

    Arch = StridedArch
    Params = StridedParams

    def transforms(self) -> Transforms[StridedArch]:
        """Return the Entropic Student's encoder and decoder."""
        from sc2.methods.gained.transforms import STRIDED

        return STRIDED


METHOD = EntropicStudentJoint()
