"""What a kind of data set gives to the `prepare_data` stage.

A kind is one file in this folder, found by its name. It holds `Params`, the model of its configuration, and
`open_dataset(config) -> Source`. The stage pulls the samples one by one and stores them, so a kind never writes files
of results itself and never needs the whole data set in memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

SPLITS = ("train", "val", "test")

Box = tuple[int, int, int, int, int]
"""x0, y0 (first pixel inside), x1, y1 (first pixel outside), class; pixels of the stored image."""


@dataclass(frozen=True)
class NewSample:
    """One sample on its way into the store.

    Attributes:
        split: `train`, `val` or `test`.
        id: Name of the sample, unique in its split; the order of the ids is the order of the stored split.
        label: Class of the image, an index into the data set's classes.
        image: The encoded image file, stored as it is.
        suffix: File ending of the image, e.g. `.ppm`.
        boxes: One box per object, none where the data set has no boxes.
        mask: A PGM file as large as the image, background 0, pixels of class k have the value k + 1.
    """

    split: str
    id: str
    label: int
    image: bytes
    suffix: str
    boxes: tuple[Box, ...] = ()
    mask: bytes | None = None


@dataclass(frozen=True)
class Source:
    """An opened data set.

    Attributes:
        classes: Names of the classes; a label is an index into them.
        counts: Number of samples of each split, known before the first one is made.
        samples: The samples, in any order; can be iterated over once.
    """

    classes: tuple[str, ...]
    counts: Mapping[str, int]
    samples: Iterator[NewSample]
