"""The one format in which samples are stored, and how they are read; `sc2.data.writer` writes them.

A data set is one uncompressed tar per split, one `index.jsonl` with a line per sample, and one `meta.json`. The index
holds the offset of every image inside its tar, so samples can be read in any order without unpacking. The same samples
produce the same bytes: the tars hold no times, owners or machine names. Of a data set that is read in place, the tars
hold only the list of its files (`sc2.data.blobs`).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sc2.data.blobs import Blobs
from sc2.data.geometry import Placement, Size
from sc2.data.index import LARGEST_META, REBUILD, Blob, Sample, read_index, typed
from sc2.data.source import SPLITS, Box
from sc2.data.spec import SizeSpec
from sc2.data.transform import Pixels, decode_image, decode_mask, plain_pixels
from sc2.errors import DataError
from sc2.foreign import text, whole


@dataclass(frozen=True)
class Meta:
    """Content of `meta.json`: the name, the classes, and `{images, sha256}` of each split's tar."""

    name: str
    classes: tuple[str, ...]
    splits: Mapping[str, Mapping[str, Any]]


def read_meta(path: Path) -> Meta:
    """Read a `meta.json`.

    Raises:
        DataError: It is missing or damaged.
    """
    if not path.is_file():
        raise DataError(f"{path}: missing. Run the workflow: `prepare_data` makes it.")
    try:
        if path.stat().st_size > LARGEST_META:
            raise ValueError(f"{path.stat().st_size} bytes")
        content = json.loads(path.read_bytes())
        classes = tuple(text(name, "a class") for name in typed(content["classes"], list))
        splits = {split: _part(content["splits"][split], low=split == "test") for split in SPLITS}
        return Meta(text(content["name"], "name"), classes, splits)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: damaged ({error!r}). {REBUILD}") from error


def _part(content: Any, low: int) -> dict[str, Any]:
    return {"images": whole(content["images"], "images", low=low), "sha256": text(content["sha256"], "sha256")}


class SampleStore:
    """Random access to the samples of one split.

    The tar is opened for every read, so a store can be copied to other processes and threads.

    Attributes:
        tar: The tar of the split.
        split: Name of the split.
        samples: The samples, ordered by id.
    """

    def __init__(self, index: Path, tar: Path, split: str) -> None:
        """Read the index of one split.

        Args:
            index: The `index.jsonl` of the data set.
            tar: The tar of the split.
            split: `train`, `val` or `test`.

        Raises:
            DataError: A file is missing or damaged, the tar is shorter than the index says, or there is no folder of
                that name.
        """
        self.tar, self.split = tar, split
        self.samples = read_index(index, split)
        if not self.samples:
            raise DataError(f"{index}: contains no sample of split {split!r} (of {', '.join(SPLITS)}). {REBUILD}")
        if not tar.is_file():
            raise DataError(f"{tar}: missing. Run the workflow: `prepare_data` makes it.")
        self._blobs = Blobs(tar)
        self._blobs.check(index, [blob for sample in self.samples for blob in (sample, sample.mask) if blob])

    def __len__(self) -> int:
        return len(self.samples)

    @cached_property
    def labels(self) -> list[int]:
        """The class of every image, in the order of the samples.

        Raises:
            DataError: The images of this data set have no labels.
        """
        labels = [sample.label for sample in self.samples if sample.label is not None]
        if len(labels) < len(self.samples):
            raise DataError(f"{self.tar}: its images have no labels. Choose a data set for classification.")
        return labels

    def groups(self) -> dict[str, list[str]]:
        """Return the group of every image, in the order of the samples, for each kind that all images have."""
        kinds = [kind for kind in self.samples[0].groups if all(kind in sample.groups for sample in self.samples)]
        return {kind: [sample.groups[kind] for sample in self.samples] for kind in kinds}

    def read(self, i: int) -> bytes:
        """Return the stored image file of sample `i`.

        Raises:
            DataError: The bytes have changed since they were stored.
        """
        return self._blob(self.samples[i])

    def image(self, i: int) -> Image.Image:
        """Return sample `i` as an upright RGB image of its stored size.

        Raises:
            DataError: The bytes have changed since they were stored, or are not an image.
        """
        return self._decoded(self.samples[i], self.read(i))

    def prepared(self, i: int, spec: SizeSpec) -> tuple[Pixels, Placement]:
        """Return sample `i` as the network's input, uint8 [H, W, 3], not to be changed, and how it was placed there.

        The same pixels as `sc2.data.transform.prepare_image` of `image`.

        Raises:
            DataError: As `image` does, or the image is too elongated for the input.
        """
        return self._prepared(self.samples[i], self.read(i), spec)

    def all_prepared(self, spec: SizeSpec) -> Iterator[tuple[int, Pixels, Placement]]:
        """Yield the number of every sample and what `prepared` returns for it, in one pass through the tar."""
        order = sorted(range(len(self)), key=lambda i: self.samples[i].offset)
        with self._blobs.opened() as tar:
            for i in order:
                yield i, *self._prepared(self.samples[i], self._blobs.read(tar, self.samples[i]), spec)

    def boxes(self, i: int) -> tuple[Box, ...]:
        """Return the boxes of sample `i` in pixels of the upright image; none if it shows no object.

        Raises:
            DataError: No image of the split has a box.
        """
        if not self._has_boxes:
            raise DataError(f"{self.tar}: its images have no boxes. Choose a data set for detection.")
        return self.samples[i].boxes

    @cached_property
    def _has_boxes(self) -> bool:
        return any(sample.boxes for sample in self.samples)

    def mask(self, i: int) -> Image.Image:
        """Return the mask of sample `i`, as large as its upright image.

        Its mode is `L`: background 0, pixels of class k k + 1, ignored pixels 255.

        Raises:
            DataError: The sample has no mask, or its bytes have changed since they were stored, or are not a mask.
        """
        blob = self.samples[i].mask
        if blob is None:
            raise DataError(f"{self.tar}: sample {self.samples[i].id} has no mask. Choose a data set with masks.")
        return Image.fromarray(decode_mask(self._blob(blob), self._blobs.where(blob)))

    def _decoded(self, sample: Sample, data: bytes) -> Image.Image:
        try:
            return decode_image(data, f"{self._blobs.where(sample)} ({sample.id})")
        except DataError as error:
            raise DataError(f"{error} Replace it in the source of the data set. {REBUILD}") from error

    def _prepared(self, sample: Sample, data: bytes, spec: SizeSpec) -> tuple[Pixels, Placement]:
        plain = plain_pixels(data)
        if plain is not None:
            height, width, _ = plain.shape
            if (place := self._place(sample, (width, height), spec)).keeps:
                return plain, place
        image = self._decoded(sample, data)
        place = self._place(sample, image.size, spec)
        return np.asarray(place.image_in(image, spec.interpolation)), place

    def _place(self, sample: Sample, size: Size, spec: SizeSpec) -> Placement:
        try:
            return Placement.of(size, spec)
        except DataError as error:
            raise DataError(f"{self.tar}, sample {sample.id}: {error}") from error

    def _blob(self, blob: Blob) -> bytes:
        with self._blobs.opened() as tar:
            return self._blobs.read(tar, blob)
