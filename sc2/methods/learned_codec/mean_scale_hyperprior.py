"""Learned codec with a mean-scale hyperprior: MSHP, `mbt2018-mean` (arXiv 1809.02736).

Source: docs/papers.md#mean-scale-hyperprior.
"""

from sc2.methods.learned_codec.method import LearnedCodec
from sc2.methods.learned_codec.params import LearnedCodecArch, Pairs, Phases, published_pairs


class Arch(LearnedCodecArch):
    """The (N, M) of CompressAI's zoo by default."""

    channels: Pairs = published_pairs((128, 192), (192, 320), small_up_to=4)


class Params(Arch):
    """The widths, by default those of CompressAI's zoo, and the schedule."""

    phases: Phases = Phases()


class MeanScaleHyperprior(LearnedCodec):
    """A scale and a mean for each value of the latent, sent as side information."""

    Arch = Arch
    Params = Params
    codec = "MeanScaleHyperprior"


METHOD = MeanScaleHyperprior()
