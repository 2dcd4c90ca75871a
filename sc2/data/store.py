"""The one format in which samples are stored and read.

A data set is one uncompressed tar per split, one `index.jsonl` with a line per sample, and one `meta.json`. The index
holds the offset of every image inside its tar, so samples can be read in any order without unpacking. The same samples
produce the same bytes: the tars hold no times, owners or machine names.
"""

import hashlib
import io
import json
import math
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from PIL import Image

from sc2.data.index import LARGEST_META, REBUILD, Blob, Sample, index_line, read_index, typed
from sc2.data.source import SPLITS, Box, NewSample
from sc2.data.transform import decode_image, decode_mask
from sc2.errors import DataError
from sc2.foreign import text, whole
from sc2.system.atomic import temporary_name


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
        splits = {split: _part(content["splits"][split]) for split in SPLITS}
        return Meta(text(content["name"], "name"), classes, splits)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path}: damaged ({error!r}). {REBUILD}") from error


def _part(content: Any) -> dict[str, Any]:
    return {"images": whole(content["images"], "images", low=1), "sha256": text(content["sha256"], "sha256")}


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
            DataError: A file is missing or damaged, or the tar is shorter than the index says.
        """
        self.tar, self.split = tar, split
        self.samples = read_index(index, split)
        if not self.samples:
            raise DataError(f"{index}: contains no sample of split {split!r} (of {', '.join(SPLITS)}). {REBUILD}")
        if not tar.is_file():
            raise DataError(f"{tar}: missing. Run the workflow: `prepare_data` makes it.")
        blobs = [blob for sample in self.samples for blob in (sample, sample.mask) if blob]
        end, size = max(blob.offset + blob.size for blob in blobs), tar.stat().st_size
        if size < end:
            raise DataError(f"{tar}: truncated, {size} bytes, but {index} expects at least {end}. {REBUILD}")

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
        sample = self.samples[i]
        data = self._blob(sample)
        try:
            return decode_image(data, f"{self.tar}, member {sample.member} ({sample.id})")
        except DataError as error:
            raise DataError(f"{error} Replace it in the source of the data set. {REBUILD}") from error

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
        return Image.fromarray(decode_mask(self._blob(blob), f"{self.tar}, member {blob.member}"))

    def _blob(self, blob: Blob) -> bytes:
        try:
            with self.tar.open("rb") as file:
                file.seek(blob.offset)
                data = file.read(blob.size)
        except OSError as error:
            raise DataError(f"{self.tar}: cannot be read ({error}). {REBUILD}") from error
        if hashlib.sha256(data).hexdigest() != blob.sha256:
            raise DataError(f"{self.tar}: member {blob.member} does not match the index. {REBUILD}")
        return data


class StoreWriter:
    """Writes a data set; use it as a context manager.

    Everything is written to temporary files beside the outputs. They get their final names only when the block ends
    without an error; otherwise they are removed.
    """

    def __init__(self, name: str, classes: tuple[str, ...], paths: Mapping[str, Path]) -> None:
        """Prepare to write to `paths`: `index`, `meta`, and one tar per split (`train`, `val`, `test`)."""
        self._name, self._classes = name, classes
        self._paths = {key: paths[key] for key in (*SPLITS, "meta", "index")}
        self._partial = {key: temporary_name(path) for key, path in self._paths.items()}
        self._tars: dict[str, tarfile.TarFile] = {}
        self._rows: dict[str, dict[str, Sample]] = {split: {} for split in SPLITS}

    def __enter__(self) -> Self:
        for split in SPLITS:
            self._tars[split] = tarfile.open(self._partial[split], "w", format=tarfile.USTAR_FORMAT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        done = False
        try:
            for tar in self._tars.values():
                tar.close()
            if kind is None:
                self._publish()
                done = True
        finally:
            if not done:
                for path in self._partial.values():
                    path.unlink(missing_ok=True)

    def add(self, sample: NewSample) -> None:
        """Store one sample.

        Raises:
            DataError: The split or label does not exist, the id was used before in this split, or a box is empty.
        """
        rows = self._rows.get(sample.split)
        if rows is None:
            raise DataError(f"{self._name}: sample {sample.id} has the unknown split {sample.split!r}")
        if sample.id in rows:
            raise DataError(f"{self._name}: two samples of split {sample.split} are called {sample.id}")
        for label in (sample.label, *(box.label for box in sample.boxes)):
            if label is not None and not 0 <= label < len(self._classes):
                raise DataError(f"{self._name}: {sample.id} has label {label}, but there are {len(self._classes)}")
        for box in sample.boxes:
            finite = all(map(math.isfinite, (box.x0, box.y0, box.x1, box.y1, box.area)))
            if not (finite and box.x0 < box.x1 and box.y0 < box.y1):
                raise DataError(f"{self._name}: {sample.id} has an empty box, {box}")
        # Numbers as names always fit into ustar's 100 characters and are never unsafe.
        number = f"{len(rows):06d}"
        image = self._append(sample.split, number + sample.suffix, sample.image)
        mask = None
        if sample.mask is not None:
            mask = self._append(sample.split, f"{number}.mask{sample.mask_suffix}", sample.mask)
        rows[sample.id] = Sample(
            **asdict(image),
            id=sample.id,
            split=sample.split,
            label=sample.label,
            boxes=sample.boxes,
            mask=mask,
            groups=dict(sample.groups),
        )

    def check_test_images(self) -> None:
        """Look for test images that are identical to training or validation images; some are reported on stderr.

        Raises:
            DataError: All of them are, so nothing would be tested.
        """
        seen = {
            sample.sha256: f"{split} image {id_}" for split in SPLITS[:2] for id_, sample in self._rows[split].items()
        }
        test = self._rows[SPLITS[2]]
        both = [id_ for id_, sample in test.items() if sample.sha256 in seen]
        if not both:
            return
        facts = (
            f"{self._name}: {len(both)} of {len(test)} test images are also training or validation images, such as "
            f"{both[0]} ({seen[test[both[0]].sha256]})"
        )
        if len(both) == len(test):
            raise DataError(f"{facts}. Nothing would be tested: use different images for the test split.")
        print(f"warning: {facts}. This makes the results look better than they are.", file=sys.stderr)

    def _append(self, split: str, member: str, data: bytes) -> Blob:
        tar, info = self._tars[split], tarfile.TarInfo(member)  # mode 0644, times and owners 0 by default
        info.size = len(data)
        offset = tar.offset + tarfile.BLOCKSIZE
        tar.addfile(info, io.BytesIO(data))
        return Blob(member, offset, len(data), hashlib.sha256(data).hexdigest())

    def _publish(self) -> None:
        splits = {}
        for split in SPLITS:
            if not self._rows[split]:
                raise DataError(f"{self._name}: split {split} is empty. Every split needs at least one image.")
            with self._partial[split].open("rb") as tar:
                digest = hashlib.file_digest(tar, "sha256").hexdigest()
            splits[split] = {"images": len(self._rows[split]), "sha256": digest}
        meta = {"name": self._name, "classes": list(self._classes), "splits": splits}
        self._partial["meta"].write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        with self._partial["index"].open("w", encoding="utf-8") as index:
            for split in SPLITS:
                for _, sample in sorted(self._rows[split].items()):
                    index.write(index_line(sample) + "\n")
        self._rename()

    def _rename(self) -> None:
        try:
            for key, path in self._paths.items():  # the index comes last: without it nothing can be read
                self._partial[key].replace(path)
        except OSError:
            for path in self._paths.values():
                path.unlink(missing_ok=True)
            raise
