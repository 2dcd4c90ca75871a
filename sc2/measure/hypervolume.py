"""One number for the three-way trade-off: the volume that a set of points dominates. No torch.

The hypervolume indicator (E. Zitzler and L. Thiele, IEEE Trans. Evol. Comput. 3, 1999) of bytes, work of the encoder
and quality, against a reference point. Bytes and work count as logarithms: halving them is worth the same everywhere.
Work is counted in multiply-accumulates, relative to the teacher's, or in milliseconds, which count what a codec does as
well.

The box from the reference point to the ideal point has the volume 1:

    bytes per image      from 2^20 B (1 MB) down to 1 B, logarithmic; fewer bytes count as 1 B
    encoder MACs         from 4 times the teacher's down to 2^-10 of them, logarithmic
    or encoder time      from 1000 ms down to 0.01 ms per image, logarithmic
    quality              from chance, what the best constant answer gets, up to the teacher's, linear

What is better than the ideal point counts as that point; a point beyond the reference point in any of the three adds
nothing.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

REFERENCE_BYTES, IDEAL_BYTES = 2.0**20, 1.0
"""Bytes per image of the reference point and of the ideal point."""

REFERENCE_MACS_SHARE, IDEAL_MACS_SHARE = 4.0, 2.0**-10
"""The encoder's multiply-accumulates at both points, in parts of the teacher's."""

REFERENCE_MS, IDEAL_MS = 1000.0, 0.01
"""The device's time per image at both points (ms)."""

Gain = tuple[float, float, float]


@dataclass(frozen=True)
class Box:
    """What the volume is a share of.

    Attributes:
        work: Work of the encoder at the reference point and at the ideal point, in one unit.
        quality: Quality at both points, the reference point's first (%).
    """

    work: tuple[float, float]
    quality: tuple[float, float]


def hypervolume(points: Iterable[tuple[float, float, float]], box: Box) -> float:
    """Return the share, from 0 to 1, of the box between reference and ideal point that the points dominate.

    Args:
        points: Bytes per image, work of the encoder (in the box's unit) and quality (%) of each; possibly none.
        box: The box; 0 where the ideal quality is not above the reference point's.
    """
    return dominated_volume([gain(*point, box) for point in points])


def gain(data_bytes: float, work: float, quality_pct: float, box: Box) -> Gain:
    """Return how far a point is from the reference point towards the ideal one: three shares from 0 to 1."""
    worst, best = box.quality
    quality = (quality_pct - worst) / (best - worst) if best > worst else 0.0
    return _log_gain(data_bytes, REFERENCE_BYTES, IDEAL_BYTES), _log_gain(work, *box.work), _unit(quality)


def _log_gain(size: float, reference: float, ideal: float) -> float:
    return _unit(math.log(reference / max(size, ideal)) / math.log(reference / ideal))


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
