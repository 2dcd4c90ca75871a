"""Neural input compression with a joint autoregressive prior: JAHP, `mbt2018` (arXiv 1809.02736).

Source: docs/papers.md#joint-autoregressive.

Scale and mean of each value of the latent come from side information and from the values before it, so that coding is
sequential on both ends (`context.py`). All that decides a table runs in whole numbers, which is what upstream's
rule to keep this model on the CPU does not ensure.
"""

from sc2.methods.learned_codec.method import NeuralInput, NeuralParams, Pairs, published_pairs


class Params(NeuralParams):
    """The (N, M) of CompressAI's zoo by default."""

    channels: Pairs = published_pairs((192, 192), (192, 320), small_up_to=4)


class JointAutoregressive(NeuralInput):
    """A masked convolution over what is decoded, beside the side information."""

    Params = Params
    codec = "JointAutoregressiveHierarchicalPriors"


METHOD = JointAutoregressive()
