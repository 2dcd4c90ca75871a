"""Which images a model is trained on, selected on and tested on.

The official validation images become the *test* split. The validation split, on which models are selected, is held out
of the training images, so that test images never influence a choice.
"""

import hashlib
from collections.abc import Collection

from sc2.errors import DataError


def ranked(ids: Collection[str], seed: int) -> list[str]:
    """Order names by a hash: a shuffle that does not depend on the order of the source or on the other names."""
    return sorted(ids, key=lambda id_: hashlib.sha256(f"{seed}:{id_}".encode()).digest())


def hold_out(
    title: str, train: Collection[str], test: Collection[str], *, val_images: int, max_images: int | None, seed: int
) -> dict[str, list[str]]:
    """Return the ids of each split.

    Args:
        title: What to call the data set in an error message.
        train: Ids of the training images.
        test: Ids of the official validation images.
        val_images: Number of validation images, taken from `train`.
        max_images: Most training images and most test images to use; None uses all.
        seed: Selects the images.

    Raises:
        DataError: No image is left to train or to test on, or an image is in both lists.
    """
    if both := sorted(set(train) & set(test)):
        raise DataError(f"{title}: {both[0]} and {len(both) - 1} more are training and test images. Correct the lists.")
    order = ranked(train, seed)
    if len(order) <= val_images:
        raise DataError(
            f"{title}: {len(order)} training images, so none is left for training with val_images {val_images}. "
            "Lower it."
        )
    if not test:
        raise DataError(f"{title}: lists no test images. Get the complete data set.")
    return {
        "train": order[val_images:][:max_images],
        "val": order[:val_images],
        "test": ranked(test, seed)[:max_images],
    }
