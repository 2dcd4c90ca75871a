"""How much longer a call takes per byte, if it does: from calls on images of different sizes."""

import math
from collections.abc import Sequence

import numpy as np

from sc2.errors import DataError
from sc2.measure.resampling import Z


def rising_slope(sizes: Sequence[float], times: Sequence[float]) -> float:
    """Return the slope of times over sizes, 0 where they do not rise beyond doubt.

    The slope is the median of those between any two images (H. Theil, 1950; P. K. Sen, 1968), which a few disturbed
    times do not move. It counts if times rise with sizes more often than chance explains: by Kendall's test with normal
    approximation and continuity correction, at 2.5 % on this one side. Images of equal size say nothing for it and
    count in its variance, which makes the test stricter. Fewer than five images never pass.

    Args:
        sizes: A number per image.
        times: A time per image, as many.

    Returns:
        In the unit of a time by that of a size, ≥ 0.

    Raises:
        DataError: There are not as many times as sizes.
    """
    if len(sizes) != len(times):
        raise DataError(f"{len(sizes)} sizes came with {len(times)} times: give one each")
    one, two = np.triu_indices(len(sizes), 1)
    x, y = np.asarray(sizes, dtype=np.float64), np.asarray(times, dtype=np.float64)
    runs, rises = x[two] - x[one], y[two] - y[one]
    surplus, images = float((np.sign(runs) * np.sign(rises)).sum()), len(sizes)
    deviation = math.sqrt(images * (images - 1) * (2 * images + 5) / 18)
    if surplus - 1 <= Z * deviation:
        return 0.0
    differ = runs != 0
    return max(0.0, float(np.median(rises[differ] / runs[differ])))
