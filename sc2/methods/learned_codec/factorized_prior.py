"""Neural input compression with a factorised prior: FP, `bmshj2018-factorized` (arXiv 1802.01436).

Source: docs/papers.md#factorized-prior.
"""

from sc2.methods.learned_codec.method import NeuralInput, NeuralParams, Pairs, published_pairs


class Params(NeuralParams):
    """The (N, M) of CompressAI's zoo by default."""

    channels: Pairs = published_pairs((128, 192), (192, 320), small_up_to=5)


class FactorizedPrior(NeuralInput):
    """One density per channel of the latent."""

    Params = Params
    codec = "FactorizedPrior"


METHOD = FactorizedPrior()
