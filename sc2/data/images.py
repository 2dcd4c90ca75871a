"""Stored samples as batches of tensors."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from sc2.data.store import SampleStore
from sc2.data.transform import prepare_image
from sc2.errors import DataError

MEMORY_LIMIT = 2 * 1024**3
"""A split whose prepared images need fewer bytes than this is kept in memory."""
UNCHANGED: Mapping[str, Any] = {}
"""No augmentation."""


class ImageTensors(Dataset[tuple[Tensor, int]]):
    """The prepared images of one split; item i is (uint8 [3, crop, crop], class).

    Each image is decoded, resized and cropped when it is first asked for, and then kept in memory if the whole split
    fits there (`MEMORY_LIMIT`).
    """

    def __init__(self, store: SampleStore, spec: Mapping[str, Any]) -> None:
        """Read from `store`; `spec` is the network's input as `sc2.data.transform.prepare_image` takes it."""
        self.store, self.spec = store, dict(spec)
        self.labels = torch.tensor(store.labels)
        shape = (len(store), 3, spec["crop"], spec["crop"])
        fits = int(np.prod(shape, dtype=np.int64)) < MEMORY_LIMIT
        self._kept = torch.empty(shape, dtype=torch.uint8) if fits else None
        self._known = [False] * len(store)

    def __len__(self) -> int:
        return len(self.store)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return self.gather([i])[0][0], int(self.labels[i])

    def gather(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return several samples at once: images uint8 [B, 3, crop, crop], classes int64 [B]; both are copies."""
        if self._kept is None:
            images = torch.stack([self._prepare(i) for i in indices])
        else:
            for i in indices:
                if not self._known[i]:
                    self._kept[i] = self._prepare(i)
                    self._known[i] = True
            images = self._kept[list(indices)]
        return images, self.labels[list(indices)]

    def _prepare(self, i: int) -> Tensor:
        pixels = np.array(prepare_image(self.store.image(i), self.spec))
        return torch.from_numpy(pixels).permute(2, 0, 1)


def batches(
    dataset: ImageTensors, batch_size: int, *, seed: int | None, epoch: int = 0, augment: Mapping[str, Any] = UNCHANGED
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the batches of one epoch: images uint8 [B, 3, H, W], classes int64 [B].

    Args:
        dataset: Where the images come from.
        batch_size: Images per batch.
        seed: For training: order and augmentation depend only on `(seed, epoch)`, and a last partial batch is dropped.
            None for evaluation: in order, as they are, all images.
        epoch: Number of the epoch, from 0.
        augment: `flip` (mirror left to right with probability ½) and `shift_px` (shift by up to so many pixels in both
            directions, the border filled by mirroring); ignored in evaluation.

    Raises:
        DataError: A training split is smaller than one batch, so that nothing would be trained.
    """
    count = len(dataset)
    if seed is None:
        for start in range(0, count, batch_size):
            yield dataset.gather(range(start, min(start + batch_size, count)))
        return
    if count < batch_size:
        raise DataError(f"{dataset.store.tar}: {count} images, fewer than one batch of {batch_size}. Lower batch_size.")
    generator = torch.Generator().manual_seed(_mixed(seed, epoch))
    order = torch.randperm(count, generator=generator)
    for start in range(0, count - batch_size + 1, batch_size):
        images, labels = dataset.gather(order[start : start + batch_size].tolist())
        yield _augmented(images, augment, generator), labels


def _augmented(images: Tensor, augment: Mapping[str, Any], generator: torch.Generator) -> Tensor:
    if augment.get("flip", False):
        mirrored = torch.rand(len(images), generator=generator) < 0.5
        images[mirrored] = images[mirrored].flip(3)
    shift = int(augment.get("shift_px", 0))
    return _shifted(images, shift, generator) if shift else images


def _shifted(images: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    height, width = images.shape[2:]
    # Mirroring is defined for floats only; every uint8 value is exact as a float.
    padded = functional.pad(images.float(), [shift] * 4, mode="reflect").to(torch.uint8)
    offsets = torch.randint(0, 2 * shift + 1, (len(images), 2), generator=generator).tolist()
    return torch.stack([image[:, y : y + height, x : x + width] for image, (y, x) in zip(padded, offsets, strict=True)])


def _mixed(seed: int, epoch: int) -> int:
    """Mix two numbers into one seed, so that (0, 1) and (1, 0) differ and neighbours are unrelated."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])
