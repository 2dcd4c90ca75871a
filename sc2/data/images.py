"""Stored samples as batches of tensors: images, and the task's target for each."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from sc2.data.geometry import Placement
from sc2.data.spec import Augmentation, SizeSpec
from sc2.data.store import SampleStore
from sc2.errors import DataError

MEMORY_LIMIT = 2 * 1024**3
"""Most bytes of prepared images and targets of a split that are kept in memory."""
UNCHANGED = Augmentation()
"""No augmentation."""


class Targets(Protocol):
    """What every task in `sc2.tasks` provides: an image's target, and how the target changes with the image."""

    def target(self, store: SampleStore, index: int) -> Any:
        """Return the target of a sample in pixels of the stored image."""

    def placed(self, target: Any, placement: Placement) -> Any:
        """Map a target to the network's input."""

    def mirrored(self, target: Any, width: int) -> Any:
        """Return the target of the image mirrored left to right; `width` of the image in the input, pixels."""

    def shifted(self, target: Any, x: int, y: int, size: tuple[int, int]) -> Any:
        """Return the target of an image (width, height) moved by `x` pixels to the right and `y` down."""

    def padded(self, target: Any, size: tuple[int, int]) -> Any:
        """Return the target of the image padded on the right and at the bottom to a width and height."""

    def collate(self, targets: Sequence[Any]) -> Any:
        """Combine the targets of a batch."""


class Item(NamedTuple):
    """One image without padding, uint8 [3, h, w], and its target."""

    image: Tensor
    target: Any


class ImageTensors(Dataset[Item]):
    """The prepared images of one split and their targets; items have no padding, batches have.

    Each image is decoded and prepared on first use, and then kept in memory until `MEMORY_LIMIT` is reached.
    """

    def __init__(self, store: SampleStore, spec: SizeSpec, targets: Targets) -> None:
        """Read from `store`.

        Args:
            store: The split.
            spec: The network's input as `sc2.data.transform.prepare_image` takes it.
            targets: The task.
        """
        self.store, self.spec, self.targets = store, spec, targets
        self._kept: dict[int, Item] = {}
        self._room = MEMORY_LIMIT

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, i: int) -> Item:
        """Return image, uint8 [3, h, w], and target of sample `i`; neither may be changed in place.

        Raises:
            DataError: The sample is damaged, or the data set lacks what the task needs.
        """
        if i in self._kept:
            return self._kept[i]
        target, image = self.targets.target(self.store, i), self.store.image(i)
        try:
            place = Placement.of(image.size, self.spec).unpadded()
        except DataError as error:
            raise DataError(f"{self.store.tar}, sample {self.store.samples[i].id}: {error}") from error
        pixels = np.array(place.image_in(image, self.spec.interpolation))
        item = Item(torch.from_numpy(pixels).permute(2, 0, 1).contiguous(), self.targets.placed(target, place))
        size = pixels.nbytes + getattr(item.target, "nbytes", 0)
        if size <= self._room:
            self._room -= size
            self._kept[i] = item
        return item

    def batch(
        self, indices: Sequence[int], augment: Augmentation = UNCHANGED, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Any]:
        """Return several samples: images uint8 [B, 3, H, W], copied, and targets as the task collates them.

        Images of different sizes are padded with zeros on the right and at the bottom: to the largest one, and to the
        specification's `multiple`. Images and targets are augmented alike when there is a generator to draw from.
        """
        items = [self[i] for i in indices]
        if generator is not None:
            items = self._augmented(items, augment, generator)
        multiple = self.spec.multiple
        height, width = (-(-max(item.image.shape[axis] for item in items) // multiple) * multiple for axis in (1, 2))
        images = torch.stack([_padded(item.image, height, width) for item in items])
        return images, self.targets.collate([self.targets.padded(item.target, (width, height)) for item in items])

    def _augmented(self, items: list[Item], augment: Augmentation, generator: torch.Generator) -> list[Item]:
        mirrored, moves = _draws(len(items), augment, generator)
        changed = []
        for (image, target), mirror, (x, y) in zip(items, mirrored, moves, strict=True):
            size = (image.shape[2], image.shape[1])
            if mirror:
                image, target = image.flip(2), self.targets.mirrored(target, size[0])
            if x or y:
                image, target = _shifted(image, x, y), self.targets.shifted(target, x, y, size)
            changed.append(Item(image, target))
        return changed


def batches(
    dataset: ImageTensors, batch_size: int, *, seed: int | None, epoch: int = 0, augment: Augmentation = UNCHANGED
) -> Iterator[tuple[Tensor, Any]]:
    """Yield the batches of one epoch: images uint8 [B, 3, H, W], and their targets as the task collates them.

    Args:
        dataset: Where the images come from.
        batch_size: Images per batch.
        seed: For training: order and augmentation depend only on `(seed, epoch)`, and a last partial batch is dropped.
            None for evaluation: in order, as they are, all images.
        epoch: Number of the epoch, from 0.
        augment: `flip` (mirror left to right with probability ½) and `shift_px` (shift by up to this many pixels in
            both directions, the border filled by mirroring); ignored in evaluation.

    Raises:
        DataError: A training split is smaller than one batch, so nothing would be trained.
    """
    count = len(dataset)
    if seed is None:
        for start in range(0, count, batch_size):
            yield dataset.batch(range(start, min(start + batch_size, count)))
        return
    if count < batch_size:
        raise DataError(f"{dataset.store.tar}: {count} images, fewer than one batch of {batch_size}. Lower batch_size.")
    generator = torch.Generator().manual_seed(_mixed(seed, epoch))
    order = torch.randperm(count, generator=generator)
    for start in range(0, count - batch_size + 1, batch_size):
        yield dataset.batch(order[start : start + batch_size].tolist(), augment, generator)


def _draws(count: int, augment: Augmentation, generator: torch.Generator) -> tuple[list[bool], list[tuple[int, int]]]:
    """Draw for each image whether it is mirrored, and by how many pixels it moves (right, down)."""
    mirrored, moves = [False] * count, [(0, 0)] * count
    if augment.flip:
        mirrored = (torch.rand(count, generator=generator) < 0.5).tolist()
    if shift := augment.shift_px:
        starts = torch.randint(0, 2 * shift + 1, (count, 2), generator=generator).tolist()
        moves = [(shift - column, shift - row) for row, column in starts]
    return mirrored, moves


def _shifted(image: Tensor, x: int, y: int) -> Tensor:
    """Move an image [3, h, w] to the right and down; the border is mirrored, its edge not repeated."""
    rows, columns = _mirrored_positions(image.shape[1], -y), _mirrored_positions(image.shape[2], -x)
    return image[:, rows][:, :, columns]


def _mirrored_positions(length: int, first: int) -> Tensor:
    """Return positions `first`, `first` + 1, … of an endlessly mirrored row, `length` of them."""
    if length == 1:
        return torch.zeros(1, dtype=torch.int64)
    position = torch.arange(first, first + length) % (2 * (length - 1))
    return torch.minimum(position, 2 * (length - 1) - position)


def _padded(image: Tensor, height: int, width: int) -> Tensor:
    return functional.pad(image, [0, width - image.shape[2], 0, height - image.shape[1]])


def _mixed(seed: int, epoch: int) -> int:
    """Mix two numbers into one seed, so that (0, 1) and (1, 0) differ and neighbours are unrelated."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
