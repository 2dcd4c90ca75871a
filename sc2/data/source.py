"""What a kind of data set provides to the `prepare_data` stage.

A kind is one file in this folder, found by its name. It defines `Params`, the model of its configuration, and
`open_dataset(config) -> Source`. The stage takes the samples one by one and stores them, so a kind never writes result
files itself and never needs the whole data set in memory.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

SPLITS = ("train", "val", "test")

IGNORED = 255
"""Value of mask pixels that belong to no class and are ignored in training and scoring."""


@dataclass(frozen=True)
class Box:
    """One object in an image, in pixels of the upright image.

    Attributes:
        x0: Left edge; the left edge of the image is 0 and a box around its first pixel alone reaches from 0 to 1.
        y0: Upper edge.
        x1: Right edge, greater than `x0`.
        y1: Lower edge, greater than `y0`.
        label: Class of the object, an index into the data set's classes.
        crowd: The box holds a group of objects of the class; it is not trained on, and detecting it is no error.
        difficult: Marked as hard to recognise (VOC): it is trained on, but left out of the score.
        area: Pixels that the object covers; 0 is replaced by the area of the box.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    label: int
    crowd: bool = False
    difficult: bool = False
    area: float = 0.0

    def __post_init__(self) -> None:
        if self.area == 0:
            object.__setattr__(self, "area", self.box_area)

    @property
    def box_area(self) -> float:
        """Pixels that the box itself covers."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)


@dataclass(frozen=True)
class InPlace:
    """A file that stays where it is: its name below the data set's folder, its size in bytes, its SHA-256."""

    name: str
    size: int
    sha256: str


Content = bytes | InPlace
"""A file on its way into the store: its content, or where it stays."""


@dataclass(frozen=True)
class Looked:
    """An image file that was decoded once, so that a damaged one is noticed now and not during training.

    Attributes:
        content: The file.
        size: Width and height of the upright image, pixels.
        orientation: Its EXIF orientation, 1 to 8.
    """

    content: Content
    size: tuple[int, int]
    orientation: int


@dataclass(frozen=True)
class NewSample:
    """One sample on its way into the store.

    Attributes:
        split: `train`, `val` or `test`.
        id: Name of the sample, unique in its split; the order of the ids is the order of the stored split.
        label: Class of the image, an index into the data set's classes; None if the data set has no labels of images.
        image: The encoded image file, stored unchanged or left where it is.
        suffix: File ending of the image, e.g. `.ppm`.
        boxes: One box per object, none if the data set has no boxes.
        mask: A one-channel (or palette) image file of the size of the upright image: background 0, pixels of class k
            k + 1, ignored pixels `IGNORED`. None if the data set has no masks.
        mask_suffix: File ending of the mask.
        groups: What images of the split may share that makes them alike, by kind: `{"photograph": "astronaut"}`.
    """

    split: str
    id: str
    label: int | None
    image: Content
    suffix: str
    boxes: tuple[Box, ...] = ()
    mask: Content | None = None
    mask_suffix: str = ".pgm"
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """An opened data set.

    Attributes:
        classes: Names of the classes; a label is an index into them.
        counts: Number of samples of each split, known before the first one is made.
        samples: The samples, in any order; can be iterated over once.
        folder: Name of the folder in the data folder where all files stay; None if they are stored anew.
    """

    classes: tuple[str, ...]
    counts: Mapping[str, int]
    samples: Iterator[NewSample]
    folder: str | None = None
