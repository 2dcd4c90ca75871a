"""Stored samples as batches of tensors: images, and the task's target for each."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset, get_worker_info

from sc2.data.augment import Changes, changed, drawn_changes, drawn_crops
from sc2.data.crops import cropped, numbers_per_image
from sc2.data.geometry import Placement
from sc2.data.loader import loaded
from sc2.data.spec import Augmentation, SizeSpec
from sc2.data.store import SampleStore
from sc2.data.transform import Pixels
from sc2.errors import DataError

MEMORY_LIMIT = 2 * 1024**3
"""Most bytes of prepared images and targets of a split that are kept in memory."""
_CHANNELS_AND_MASK = 4
"""Bytes per pixel of an image and of the largest target."""
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


class Plan(NamedTuple):
    """What a batch is made of; everything random in it is drawn already.

    Attributes:
        indices: Numbers of its images.
        augment: What `crops` were drawn for.
        changes: How the images are changed, None if they are not.
        crops: Numbers that place each image's random crop, None without one.
    """

    indices: Sequence[int]
    augment: Augmentation = UNCHANGED
    changes: Changes | None = None
    crops: list[list[float]] | None = None

    @classmethod
    def drawn(cls, indices: Sequence[int], augment: Augmentation, generator: torch.Generator) -> "Plan":
        """Draw what is random in a batch of training images."""
        changes = drawn_changes(len(indices), augment, generator)
        return cls(indices, augment, changes, drawn_crops(len(indices), augment, generator))

    def part(self, number: int, of: int) -> "Plan":
        """Return one of `of` parts of the batch, in order and as equal as they can be."""
        own = slice(number * len(self.indices) // of, (number + 1) * len(self.indices) // of)
        changes = None if self.changes is None else Changes(*(values[own] for values in self.changes))
        return Plan(self.indices[own], self.augment, changes, None if self.crops is None else self.crops[own])


class _Whole(NamedTuple):
    """A whole split: its images, uint8 [N, 3, H, W], and the target of each."""

    images: Tensor
    targets: list[Any]


class ImageTensors(Dataset[Item]):
    """The prepared images of one split and their targets; items have no padding, batches have.

    Where all images are cropped to one size and fit into `MEMORY_LIMIT`, the first use decodes and prepares them all,
    in one pass through the tar. Otherwise each is prepared on first use, and then kept until the limit is reached.
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
        if self._whole is not None:
            return Item(self._whole.images[i], self._whole.targets[i])
        if i in self._kept:
            return self._kept[i]
        item = self._item(i, *self.store.prepared(i, self.spec))
        if get_worker_info() is not None:  # each worker would keep others
            return item
        size = item.image.nbytes + getattr(item.target, "nbytes", 0)
        if size <= self._room:
            self._room -= size
            self._kept[i] = item
        return item

    def _item(self, i: int, pixels: Pixels, placement: Placement) -> Item:
        """Return an item of a sample's pixels, uint8 [H, W, 3], and its placement, without the padding."""
        width, height = placement.visible
        image = torch.from_numpy(np.ascontiguousarray(pixels[:height, :width].transpose(2, 0, 1)))
        return Item(image, self.targets.placed(self.targets.target(self.store, i), placement.unpadded()))

    @property
    def _fits(self) -> bool:
        """Whether all items have one size and fit into memory."""
        side = self.spec.square
        return side is not None and len(self.store) * side**2 * _CHANNELS_AND_MASK <= MEMORY_LIMIT

    @cached_property
    def _whole(self) -> _Whole | None:
        """All items of the split, if they have one size and fit into memory; read when first asked for."""
        side, count = self.spec.square, len(self.store)
        if side is None or not self._fits:
            return None
        images = torch.empty(count, 3, side, side, dtype=torch.uint8)
        targets: list[Any] = [None] * count
        for i, pixels, placement in self.store.all_prepared(self.spec):
            images[i], targets[i] = self._item(i, pixels, placement)
        return _Whole(images, targets)

    def made(self, plan: Plan) -> tuple[Tensor, Any]:
        """Return a batch: images uint8 [B, 3, H, W], copied, and targets as the task collates them.

        Images of different sizes are padded with zeros on the right and at the bottom: to the largest one, and to the
        specification's `multiple`. Images and targets are changed alike.
        """
        indices, changes = plan.indices, plan.changes
        if plan.crops is not None:
            items = [self._cropped(i, plan.augment, numbers) for i, numbers in zip(indices, plan.crops, strict=True)]
            return self._padded(items, changes)
        if self._whole is None:
            return self._padded([self[i] for i in indices], changes)
        images, targets = self._whole.images, [self._whole.targets[i] for i in indices]
        chosen = torch.tensor(indices)
        if changes is None:
            return images.index_select(0, chosen), self.targets.collate(targets)
        targets = self._changed(targets, [(images.shape[3], images.shape[2])] * len(indices), changes)
        return changed(images, chosen, changes), self.targets.collate(targets)

    def gains_from_workers(self, augment: Augmentation) -> bool:
        """Return whether batches take long: their images are decoded anew, not picked from memory."""
        return bool(numbers_per_image(augment)) or not self._fits

    def _cropped(self, i: int, augment: Augmentation, numbers: Sequence[float]) -> Item:
        """Return sample `i` cropped at random, decoded anew: every epoch sees another part of it."""
        image, target = self.store.image(i), self.targets.target(self.store, i)
        for placement in cropped(image.size, augment, numbers, self.spec.square):
            image = placement.image_in(image, self.spec.interpolation)
            target = self.targets.placed(target, placement)
        pixels = np.array(image).transpose(2, 0, 1)  # a copy: Pillow returns memory that torch must not write to
        return Item(torch.from_numpy(np.ascontiguousarray(pixels)), target)

    def _padded(self, items: list[Item], changes: Changes | None) -> tuple[Tensor, Any]:
        """Return a batch of items of any sizes, changed and then padded to one size."""
        images, targets = [item.image for item in items], [item.target for item in items]
        if changes is not None:
            targets = self._changed(targets, [(image.shape[2], image.shape[1]) for image in images], changes)
            each = zip(images, changes.mirrored.split(1), changes.moves.split(1), strict=True)
            images = [changed(image[None], torch.tensor([0]), Changes(*change))[0] for image, *change in each]
        multiple = self.spec.multiple
        height, width = (-(-max(image.shape[axis] for image in images) // multiple) * multiple for axis in (1, 2))
        padded = torch.stack([_padded(image, height, width) for image in images])
        return padded, self.targets.collate([self.targets.padded(target, (width, height)) for target in targets])

    def _changed(self, targets: list[Any], sizes: list[tuple[int, int]], changes: Changes) -> list[Any]:
        """Return the targets of images, whose widths and heights are `sizes`, changed as the images are."""
        result = []
        for target, size, mirror, (x, y) in zip(
            targets, sizes, changes.mirrored.tolist(), changes.moves.tolist(), strict=True
        ):
            if mirror:
                target = self.targets.mirrored(target, size[0])
            if x or y:
                target = self.targets.shifted(target, x, y, size)
            result.append(target)
        return result


def batches(
    dataset: ImageTensors,
    batch_size: int,
    *,
    seed: int | None,
    epoch: int = 0,
    augment: Augmentation = UNCHANGED,
    start: int = 0,
    part: tuple[int, int] = (0, 1),
    workers: int = 0,
    pinned: bool = False,
) -> Iterator[tuple[Tensor, Any]]:
    """Yield the batches of one epoch: images uint8 [B, 3, H, W], and their targets as the task collates them.

    Args:
        dataset: Where the images come from.
        batch_size: Images per batch.
        seed: For training: order and augmentation depend only on `(seed, epoch)`, and a last partial batch is dropped.
            None for evaluation: in order, as they are, all images.
        epoch: Number of the epoch, from 0.
        augment: Random crops, then `flip` (mirror left to right with probability ½), then `shift_px` (shift by up to
            this many pixels in both directions, the border filled by mirroring); ignored in evaluation.
        start: Number of the first batch; those before it are drawn, but not read.
        part: Which part of each batch, and of how many, for as many processes that share it; all draw the same numbers.
        workers: Processes that make batches ahead; 0 makes each in this process, when it is asked for. The batches are
            the same, and so are the random numbers that this process draws afterwards.
        pinned: Whether batches are put into page-locked memory, which a GPU reads faster; only with workers.

    Raises:
        DataError: A training split is smaller than one batch, so nothing would be trained.
    """
    plans = (plan.part(*part) for plan in islice(_plans(dataset, batch_size, seed, epoch, augment), start, None))
    if not workers or not dataset.gains_from_workers(UNCHANGED if seed is None else augment):
        return map(dataset.made, plans)
    return loaded(dataset.made, plans, workers, pinned=pinned)


def _plans(
    dataset: ImageTensors, batch_size: int, seed: int | None, epoch: int, augment: Augmentation
) -> Iterator[Plan]:
    count = len(dataset)
    if seed is None:
        for start in range(0, count, batch_size):
            yield Plan(range(start, min(start + batch_size, count)))
        return
    if count < batch_size:
        raise DataError(f"{dataset.store.tar}: {count} images, fewer than one batch of {batch_size}. Lower batch_size.")
    generator = torch.Generator().manual_seed(_mixed(seed, epoch))
    order = torch.randperm(count, generator=generator)
    for start in range(0, count - batch_size + 1, batch_size):
        yield Plan.drawn(order[start : start + batch_size].tolist(), augment, generator)


def _padded(image: Tensor, height: int, width: int) -> Tensor:
    return functional.pad(image, [0, width - image.shape[2], 0, height - image.shape[1]])


def _mixed(seed: int, epoch: int) -> int:
    """Mix two numbers into one seed, so that (0, 1) and (1, 0) differ and neighbours are unrelated."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
