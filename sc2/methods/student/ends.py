"""The coders at both ends of the link, for each kind of entropy model of the family."""

from sc2.layers.priors import FACTORIZED, Hyperprior, PriorKind
from sc2.methods.student.hyperprior import NETWORKS
from sc2.methods.student.params import Prior

ENDS: dict[Prior, PriorKind] = {
    "factorized": FACTORIZED,
    **{prior: Hyperprior(analysis) for prior, (analysis, _) in NETWORKS.items()},
}
