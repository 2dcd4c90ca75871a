"""Entropic Student with a factorised prior (Matsubara et al., WACV 2022; arXiv 2203.08875).

Source: docs/papers.md#entropic-student.

    device                            wire                 server
    x ─ g_a ─► y ─ round, coder ─► payload bytes ─► y_hat ─ g_s ─► features of `cut` ─ rest of the backbone ─► logits

Phase `distill`: everything up to the cut is learned from the teacher's features at the hint layers, at a price of bits:
L = Σ_k ‖s_k - t_k‖² + β · bits, both summed over the batch; the rest of the backbone is the teacher's and stays frozen.
Phase `finetune`: encoder and entropy model are frozen, latents are rounded, and decoder and the rest learn the task: in
classification from labels and the teacher, L = α CE + (1 - α) τ² KL, otherwise with the task's own loss. On a dense
task encoder and entropy model may be those of a classification benchmark (`encoder_from`).

β depends on the scale of the summed feature error, so each benchmark has its own grid.
"""

from __future__ import annotations

from sc2.methods.student.distilled import DistilledMethod
from sc2.methods.student.params import StudentArch, StudentParams


class EntropicStudent(DistilledMethod[StudentArch]):
    """The method as the workflow sees it."""

    Arch = StudentArch
    Params = StudentParams
    prior = "factorized"


METHOD = EntropicStudent()
