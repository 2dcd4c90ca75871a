"""How sure a number over test images is: resamples of clustered images, intervals, exact tests. No torch.

Images that show the same thing are alike: a network that fails on one photograph fails on many test images at once. So
what is drawn again is not images but what they were made from (photographs, glyphs), each kind independently and with
replacement; an image counts as often as the product of its groups' counts. This is the pigeonhole bootstrap
(A. B. Owen, Ann. Appl. Stat. 1, 2007). No resampling scheme is exact for crossed groups (P. McCullagh, Bernoulli 6,
2000); this one errs on the safe side, because it counts the noise of single images up to three times. Where fewer than
two kinds of groups are known, the image itself is one of them.

The same images give the same resamples, whatever is measured on them: resample b of one method belongs to resample b of
another one, so that differences of resamples are paired.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sc2.errors import DataError

RESAMPLES = 1000
LEVEL = 0.95
"""Share of resamples inside an interval."""

Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
"""Standard deviations on either side of a normal distribution's mean that hold the share `LEVEL`."""

GROUP = "group_"
"""What stands before a kind of group in the name of its column in the rows per image."""

_SEED = 20220315
_KINDS = 2

Values = NDArray[np.float64]


class Interval(NamedTuple):
    """The ends of an interval, in the unit of its number."""

    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Say whether a value lies outside; NaN ends exclude nothing."""
        return self.low > value or self.high < value


NO_INTERVAL = Interval(math.nan, math.nan)


def resample_weights(groups: Mapping[str, Sequence[str]], images: int, resamples: int = RESAMPLES) -> Values:
    """Return how often each image counts in each resample, float64 [resamples, images]; no row is zero throughout.

    Args:
        groups: Kind of group → its id for each image; none where images are independent.
        images: Number of images, at least 1.
        resamples: Number of resamples, at least 1.

    Raises:
        DataError: There is no image, or a kind of group does not name one for each.
    """
    if images < 1 or any(len(ids) != images for ids in groups.values()):
        raise DataError(f"a group for each of {images} images is needed, not {[len(ids) for ids in groups.values()]}")
    kinds = [np.unique(np.asarray(ids, dtype=str), return_inverse=True)[1] for _, ids in sorted(groups.items())]
    if len(kinds) < _KINDS:
        kinds.append(np.arange(images))
    streams = [np.random.PCG64(np.random.SeedSequence((_SEED, number))) for number in range(len(kinds))]
    weights = np.zeros((resamples, images))
    empty = np.arange(resamples)
    while len(empty):
        drawn = np.ones((len(empty), images))
        for codes, stream in zip(kinds, streams, strict=True):
            drawn *= _counts(stream, len(empty), int(codes.max()) + 1)[:, codes]
        weights[empty] = drawn
        # With few groups, those that were drawn of one kind may share no image with those of the other.
        empty = empty[drawn.sum(axis=1) == 0]
    return weights


def _counts(stream: np.random.PCG64, resamples: int, size: int) -> Values:
    """Draw `size` groups of `size` with replacement, for each resample, and count them: [resamples, size]."""
    # Raw integers: NumPy guarantees their stream, unlike those of its distributions.
    drawn = stream.random_raw((resamples, size)) % np.uint64(size)
    rows = np.arange(resamples, dtype=np.uint64)[:, None] * np.uint64(size)
    counts = np.bincount((rows + drawn).astype(np.int64).ravel(), minlength=resamples * size)
    return counts.reshape(resamples, size).astype(np.float64)


def seed_weights(seed: int, resamples: int = RESAMPLES) -> Values:
    """Return how much a training's seed counts in each resample: exponential with mean 1, [resamples].

    The same seed gives the same weights, whatever it is the seed of.

    Args:
        seed: At least 0.
        resamples: Number of resamples, at least 1.
    """
    stream = np.random.PCG64(np.random.SeedSequence((_SEED, _KINDS, seed)))
    uniform = ((stream.random_raw(resamples) >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    weights: Values = -np.log(uniform)
    return weights


def weighted_means(weights: Values, values: ArrayLike) -> Values:
    """Return the mean of a number per image in each resample.

    Args:
        weights: [resamples, images], as of `resample_weights`.
        values: [images].
    """
    means: Values = weights @ np.asarray(values, dtype=np.float64) / weights.sum(axis=1)
    return means


def percentile_interval(values: Values) -> Interval:
    """Return the interval that holds the share `LEVEL` of a number's resamples, as many below as above.

    Resamples in which the number does not exist are NaN; with more than half of what may lie outside at one end, there
    is no interval, and both ends are NaN. An infinite end is one.
    """
    tail = (1 - LEVEL) / 2
    if len(values) == 0 or np.isnan(values).mean() > tail:
        return NO_INTERVAL
    ordered = np.sort(values[~np.isnan(values)])
    position = tail * (len(ordered) - 1)
    return Interval(_at(ordered, position), _at(ordered, len(ordered) - 1 - position))


def _at(ordered: Values, position: float) -> float:
    below, above = float(ordered[math.floor(position)]), float(ordered[math.ceil(position)])
    # Between a number and infinity, or two infinities, there is nothing to interpolate.
    return above if math.isinf(above) or below == above else below + (position % 1) * (above - below)


def proportion_interval(successes: int, trials: int) -> Interval:
    """Return Wilson's interval of a share of independent trials (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927).

    Args:
        successes: 0 … trials.
        trials: At least 1.

    Returns:
        Shares from 0 to 1.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise DataError(f"{successes} of {trials} is no share")
    share, squared = successes / trials, Z * Z / trials
    centre = (share + squared / 2) / (1 + squared)
    half = Z * math.sqrt(share * (1 - share) / trials + squared / (4 * trials)) / (1 + squared)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def widened(value: float, interval: Interval, standard_error: float) -> Interval:
    """Return an interval that an independent error is added to, in quadrature on each side.

    Args:
        value: The number.
        interval: Its interval from the choice of images.
        standard_error: Of the number from something else, such as the seed of a training; 0 changes nothing.
    """
    further = Z * standard_error
    return Interval(
        value - math.hypot(value - interval.low, further), value + math.hypot(interval.high - value, further)
    )


def mcnemar_p(only_one: int, only_other: int) -> float:
    """Return the two-sided p-value of McNemar's exact test: whether two classifiers err equally often.

    Args:
        only_one: Images that only one of them has right.
        only_other: Images that only the other has right.
    """
    discordant, fewer = only_one + only_other, min(only_one, only_other)
    below = sum(math.comb(discordant, count) for count in range(fewer + 1))
    return min(1.0, 2 * below / 2**discordant)


def bootstrap_p(differences: Values) -> float:
    """Return a two-sided p-value of "no difference"; NaN where a difference has no `percentile_interval`.

    Twice the smaller share of resamples on one side of zero, where one more resample is counted on either side, so that
    it is never 0.
    """
    known = differences[~np.isnan(differences)]
    if len(known) == 0 or len(known) < (0.5 + LEVEL / 2) * len(differences):
        return math.nan
    fewer = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (len(known) + 1))
