"""Learned codec with a factorised prior: FP, `bmshj2018-factorized` (arXiv 1802.01436).

Source: docs/papers.md#factorized-prior.
"""

from sc2.methods.learned_codec.method import LearnedCodec
from sc2.methods.learned_codec.params import LearnedCodecArch, Pairs, Phases, published_pairs


class Arch(LearnedCodecArch):
    """The (N, M) of CompressAI's zoo by default."""

    channels: Pairs = published_pairs((128, 192), (192, 320), small_up_to=5)


class Params(Arch):
    """The widths, by default those of CompressAI's zoo, and the schedule."""

    phases: Phases = Phases()


class FactorizedPrior(LearnedCodec):
    """One density per channel of the latent."""

    Arch = Arch
    Params = Params
    codec = "FactorizedPrior"


METHOD = FactorizedPrior()
