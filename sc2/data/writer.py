"""Writes a data set as `sc2.data.store` reads it."""

import hashlib
import io
import json
import math
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

from sc2.data.blobs import MANIFEST, manifest
from sc2.data.index import Blob, Sample, index_line
from sc2.data.source import SPLITS, Content, NewSample
from sc2.errors import DataError
from sc2.system.atomic import temporary_name

_EFFECTS = {
    "train": "",
    "val": "This selects models that look better than they are.",
    "test": "This makes the results look better than they are.",
}
"""The splits in order, and what it does to one of them to share images with those before."""


class StoreWriter:
    """Writes a data set; use it as a context manager.

    Everything is written to temporary files beside the outputs. They get their final names only when the block ends
    without an error; otherwise they are removed.
    """

    def __init__(
        self, name: str, classes: tuple[str, ...], paths: Mapping[str, Path], folder: str | None = None
    ) -> None:
        """Prepare to write to `paths`: `index`, `meta`, and one tar per split (`train`, `val`, `test`).

        `folder` is where in the data folder the files of samples stay that are `InPlace`.
        """
        self._name, self._classes, self._folder = name, classes, folder
        self._listed: dict[str, list[Blob]] = {split: [] for split in SPLITS}
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
            for split, tar in self._tars.items():
                if kind is None and self._folder is not None:
                    self._append(split, MANIFEST, manifest(self._folder, self._listed[split]))
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
        image = self._stored(sample.split, number + sample.suffix, sample.image)
        mask = None
        if sample.mask is not None:
            mask = self._stored(sample.split, f"{number}.mask{sample.mask_suffix}", sample.mask)
        rows[sample.id] = Sample(
            **asdict(image),
            id=sample.id,
            split=sample.split,
            label=sample.label,
            boxes=sample.boxes,
            mask=mask,
            groups=dict(sample.groups),
        )

    def check_overlaps(self) -> None:
        """Look for identical images in two splits; some of them are reported on stderr.

        Raises:
            DataError: All test images are also training or validation images, so nothing would be tested.
        """
        seen: dict[str, str] = {}
        for split, effect in _EFFECTS.items():
            own = self._rows[split]
            both = [id_ for id_, sample in own.items() if sample.sha256 in seen]
            if both:
                facts = (
                    f"{self._name}: {len(both)} of {len(own)} {split} images are also images of another split, such as "
                    f"{both[0]} ({seen[own[both[0]].sha256]})"
                )
                if split == "test" and len(both) == len(own):
                    raise DataError(f"{facts}. Nothing would be tested: use different images for the test split.")
                print(f"warning: {facts}. {effect}", file=sys.stderr)
            seen |= {sample.sha256: f"{split} image {id_}" for id_, sample in own.items()}

    def _stored(self, split: str, member: str, content: Content) -> Blob:
        """Append a file to the tar under a name, or list it under its own."""
        if isinstance(content, bytes):
            return self._append(split, member, content)
        blob = Blob(content.name, 0, content.size, content.sha256)
        self._listed[split].append(blob)
        return blob

    def _append(self, split: str, member: str, data: bytes) -> Blob:
        tar, info = self._tars[split], tarfile.TarInfo(member)  # mode 0644, times and owners 0 by default
        info.size = len(data)
        offset = tar.offset + tarfile.BLOCKSIZE
        tar.addfile(info, io.BytesIO(data))
        return Blob(member, offset, len(data), hashlib.sha256(data).hexdigest())

    def _publish(self) -> None:
        splits = {}
        # A data set that only evaluates has neither of the other two.
        needed = SPLITS if self._rows["train"] or self._rows["val"] else ("test",)
        for split in SPLITS:
            if split in needed and not self._rows[split]:
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
