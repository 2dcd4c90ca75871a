"""Learned codec with a joint autoregressive prior: JAHP, `mbt2018` (arXiv 1809.02736).

Source: docs/papers.md#joint-autoregressive.

The scale and mean of each value of the latent are predicted from side information and the values before it, so that
coding is sequential on both ends (`context.py`). Everything that selects a table runs in integer arithmetic, so that
both ends agree on any hardware; upstream's rule to keep this model on the CPU does not ensure that.
"""

from sc2.methods.learned_codec.method import LearnedCodec
from sc2.methods.learned_codec.params import LearnedCodecArch, Pairs, Phases, published_pairs


class Arch(LearnedCodecArch):
    """The (N, M) of CompressAI's zoo by default."""

    channels: Pairs = published_pairs((192, 192), (192, 320), small_up_to=4)


class Params(Arch):
    """The widths, by default those of CompressAI's zoo, and the schedule."""

    phases: Phases = Phases()


class JointAutoregressive(LearnedCodec):
    """A masked convolution over the decoded values, besides the side information."""

    Arch = Arch
    Params = Params
    codec = "JointAutoregressiveHierarchicalPriors"


METHOD = JointAutoregressive()
