"""Entropic Student with a scale hyperprior (Ballé et al., ICLR 2018; docs/papers.md#entropic-student-shp).

    device                                               wire      server
    x ─ g_a ─► y ─┬─ h_a(|y|) ─► z ─ round, coder ─────► z bytes ─ coder ─ h_s ─► scales ─┐
                  └─ round, coder under the scales ────► y bytes ─────────── coder ◄──────┴─► y_hat ─ g_s, …

Phases and losses are those of `entropic_student`; the bits are those of y and z together, at one price. Upstream has
the layer but no experiment with it, and cannot train its second phase.
"""

from __future__ import annotations

from sc2.methods.student.distilled import DistilledMethod
from sc2.methods.student.params import HyperpriorArch, HyperpriorParams


class EntropicStudentSHP(DistilledMethod[HyperpriorArch]):
    """y under zero-mean Gaussians, each with a scale from z."""

    Arch = HyperpriorArch
    Params = HyperpriorParams
    prior = "scale_hyperprior"


METHOD = EntropicStudentSHP()
