"""Neural input compression with a mean-scale hyperprior: MSHP, `mbt2018-mean` (arXiv 1809.02736).

Source: docs/papers.md#mean-scale-hyperprior.
"""

from sc2.methods.learned_codec.method import NeuralInput, NeuralParams, Pairs, published_pairs


class Params(NeuralParams):
    """The (N, M) of CompressAI's zoo by default."""

    channels: Pairs = published_pairs((128, 192), (192, 320), small_up_to=4)


class MeanScaleHyperprior(NeuralInput):
    """A scale and a mean for each value of the latent, sent as side information."""

    Params = Params
    codec = "MeanScaleHyperprior"


METHOD = MeanScaleHyperprior()
