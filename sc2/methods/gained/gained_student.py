"""A variable-rate split with a small encoder of convolutions and ReLUs (ours; docs/method.md).

    device                                             wire                  server
    x ─ patches, blocks ─ × gain_r ─► y ─ round, coder ─► rate, bytes ─► y_hat ─ blocks ─► features of `cut` ─ the rest

One training gives every rate: gains before rounding (Cui et al., CVPR 2021, arXiv 2003.02012) and scales after the
encoder's blocks are all that differs. The tables on the wire are counted on the training split, for each rate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sc2.methods.gained.method import GainedMethod
from sc2.methods.gained.params import PatchArch, PatchParams

if TYPE_CHECKING:
    from sc2.methods.gained.transforms import Transforms


class GainedStudent(GainedMethod[PatchArch]):
    """The method as the workflow sees it."""

    Arch = PatchArch
    Params = PatchParams

    def transforms(self) -> Transforms[PatchArch]:
        """Return the encoder of patches and its decoder."""
        from sc2.methods.gained.transforms import PATCH

        return PATCH


METHOD = GainedStudent()
