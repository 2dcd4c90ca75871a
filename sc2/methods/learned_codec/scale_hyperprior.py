"""Neural input compression with a scale hyperprior: SHP, `bmshj2018-hyperprior` (arXiv 1802.01436).

Source: docs/papers.md#scale-hyperprior.
"""

from sc2.methods.learned_codec.method import NeuralInput, NeuralParams, Pairs, published_pairs


class Params(NeuralParams):
    """The (N, M) of CompressAI's zoo by default."""

    channels: Pairs = published_pairs((128, 192), (192, 320), small_up_to=5)


class ScaleHyperprior(NeuralInput):
    """A scale for each value of the latent, sent as side information."""

    Params = Params
    codec = "ScaleHyperprior"


METHOD = ScaleHyperprior()
