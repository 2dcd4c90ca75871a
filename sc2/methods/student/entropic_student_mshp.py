"""Entropic Student with a mean-scale hyperprior (Minnen et al., NeurIPS 2018; docs/papers.md#entropic-student-mshp).

    device                                               wire      server
    x ─ g_a ─► y ─┬─ h_a ─► z ─ round, coder ──────────► z bytes ─ coder ─ h_s ─► scales, means ─┐
                  └─ round around the means, coder ────► y bytes ─────────── coder ◄─────────────┴─► y_hat ─ g_s, …

Phases and losses are those of `entropic_student`; the bits are those of y and z together, at one price.
"""

from __future__ import annotations

from sc2.methods.student.distilled import DistilledMethod
from sc2.methods.student.params import HyperpriorArch, HyperpriorParams


class EntropicStudentMSHP(DistilledMethod[HyperpriorArch]):
    """y under Gaussians, each with a mean and a scale from z."""

    Arch = HyperpriorArch
    Params = HyperpriorParams
    prior = "mean_scale_hyperprior"


METHOD = EntropicStudentMSHP()
