"""One number for the three-way trade-off: the volume that a set of points dominates. No torch.

The hypervolume indicator (E. Zitzler and L. Thiele, IEEE Trans. Evol. Comput. 3, 1999) of bytes, encoder size and
quality, against a reference point that is the same for every method, data set and run of this project, so that numbers
can be compared across tables. Bytes and encoder size count as logarithms: halving a size is worth the same everywhere.

The box from the reference point to the ideal point has the volume 1:

    bytes per image   from 2^20 B (1 MB) down to 1 B, logarithmic; fewer bytes count as 1 B
    encoder size      from 2^18 KB (256 MB) down to 1 KB, logarithmic; smaller encoders, also none, count as 1 KB
    quality           from 0 % up to 100 %, linear

A point beyond the reference point in any of the three adds nothing.
"""

import math
from collections.abc import Iterable

REFERENCE_BYTES = 2.0**20
"""Bytes per image of the reference point; 1 B is ideal."""

REFERENCE_ENCODER_KB = 2.0**18
"""Encoder size of the reference point (KB = 1024 B); 1 KB is ideal."""

REFERENCE_QUALITY_PCT, IDEAL_QUALITY_PCT = 0.0, 100.0
"""Quality of the reference point and of the ideal point (%)."""

Gain = tuple[float, float, float]


def hypervolume(points: Iterable[tuple[float, float, float]]) -> float:
    """Return the share, from 0 to 1, of the box between reference and ideal point that the points dominate.

    Args:
        points: Bytes per image, encoder size (KB) and quality (%) of each point; possibly none.
    """
    return dominated_volume([gain(*point) for point in points])


def gain(data_bytes: float, encoder_kb: float, quality_pct: float) -> Gain:
    """Return how far a point is from the reference point towards the ideal one: three shares from 0 to 1."""
    quality = (quality_pct - REFERENCE_QUALITY_PCT) / (IDEAL_QUALITY_PCT - REFERENCE_QUALITY_PCT)
    return _log_gain(data_bytes, REFERENCE_BYTES), _log_gain(encoder_kb, REFERENCE_ENCODER_KB), _unit(quality)


def _log_gain(size: float, reference: float) -> float:
    return _unit(1.0 - math.log(max(size, 1.0)) / math.log(reference))


def _unit(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def dominated_volume(gains: Iterable[Gain]) -> float:
    """Return the volume of the union of the boxes from the origin to each of `gains`, exactly.

    The third coordinate is cut into slices between the points; in each slice the union is a staircase.
    """
    ordered = sorted(gains, key=lambda point: -point[2])
    levels = [point[2] for point in ordered] + [0.0]
    slices = (
        (levels[count - 1] - levels[count]) * _staircase((first, second) for first, second, _ in ordered[:count])
        for count in range(1, len(levels))
        if levels[count - 1] > levels[count]
    )
    return math.fsum(slices)


def _staircase(corners: Iterable[tuple[float, float]]) -> float:
    """Return the area of the union of the rectangles from the origin to each corner."""
    area, height = 0.0, 0.0
    for width, top in sorted(corners, key=lambda corner: (-corner[0], -corner[1])):
        area += width * max(0.0, top - height)
        height = max(height, top)
    return area
