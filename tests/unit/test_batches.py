"""Several images through a network at once: what comes out is what each image alone gives, whatever the last bits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sc2.errors import CheckpointError, WireError
from sc2.runs.evaluate import _parts
from sc2.split.batches import CHECKED, SAFETY, BatchedDevice, Outputs, Rounding, Streams, Watching, by_size
from sc2.split.wire import Payload

UNIT = 50.0
"""The largest output of every image below."""


class Shifted(BatchedDevice):
    """An image's outputs are `values[its first pixel]` and `UNIT`; in a batch they are shifted.

    Attributes:
        shifts: What a batch adds to the outputs of each of its images, one after the other.
        alone: The images that were analysed alone.
    """

    def __init__(self, values: Sequence[float], shifts: Sequence[float]) -> None:
        self.values = torch.tensor(values, dtype=torch.float64)
        self.shifts = torch.tensor(shifts, dtype=torch.float64)
        self.alone: list[int] = []

    def outputs(self, images: Tensor) -> Outputs:
        which = images[:, 0, 0, 0].long()
        values = self.values[which]
        if len(which) > 1:
            values = values + self.shifts[which]
        else:
            self.alone.append(int(which))
        return (values[:, None], torch.full((len(which), 1), UNIT, dtype=torch.float64))

    def chosen(self, outputs: Outputs, size: tuple[int, int], rounding: Rounding) -> list[Any]:
        assert size == (1, 2)
        return rounding(outputs[0]).int().flatten().tolist()

    def code(self, latent: Any) -> Payload:
        raise NotImplementedError


def images(*which: int) -> list[np.ndarray]:
    return [np.full((1, 2, 3), number, dtype=np.uint8) for number in which]


SHIFT = 1e-6 * UNIT
MARGIN = SAFETY * SHIFT


def test_only_images_close_to_another_result_are_analysed_alone_after_the_first() -> None:
    first = [3.2] * CHECKED
    later = [0.5 - SHIFT / 2, 0.5 + SHIFT / 2, -1.5 - 3 * SHIFT, 7.0, 2.5 - 2 * MARGIN, 2.5 + 2 * MARGIN]
    device = Shifted([*first, *later], [SHIFT] * CHECKED + [SHIFT, -SHIFT, 0.0, SHIFT, SHIFT, SHIFT])
    assert device.analyse_all(images(*range(CHECKED))) == [3] * CHECKED
    assert device.alone == list(range(CHECKED))
    device.alone.clear()
    numbers = range(CHECKED, CHECKED + len(later))
    # The batch alone would round the first two to 1 and 0.
    together = device.outputs(torch.tensor(np.stack(images(*numbers))).permute(0, 3, 1, 2))[0]
    assert torch.round(together)[:2].flatten().tolist() == [1.0, 0.0]
    assert device.analyse_all(images(*numbers)) == [0, 1, -2, 7, 2, 3]
    assert device.alone == list(numbers)[:3]
    assert device.analyse_all(images(*numbers)) == [device.analyse(pixels) for pixels in images(*numbers)]


def test_the_first_images_are_compared_over_several_batches() -> None:
    device = Shifted([0.2] * 40, [SHIFT] * 40)
    for at in (0, 3, 6, 20):
        assert device.analyse_all(images(*range(at, at + 3))) == [0, 0, 0]
    assert device.alone == list(range(CHECKED))
    assert device.analyse_all(images(39)) == [0]
    assert device.alone[CHECKED:] == [39]


def test_a_batch_that_changes_outputs_by_more_than_rounding_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"differ by 0\.02 of the largest one from those for the image alone"):
        Shifted([0.2, 0.3], [0.0, 1.0]).analyse_all(images(0, 1))
    with pytest.raises(CheckpointError, match="differ by nan"):
        Shifted([0.2, float("nan")], [0.0, 0.0]).analyse_all(images(0, 1))
    # Too much for the margin that the first images gave, and found on an image that is close to another result.
    device = Shifted([0.2] * CHECKED + [0.5 + 2 * MARGIN, 0.1], [SHIFT] * CHECKED + [-2 * MARGIN, 0.0])
    device.analyse_all(images(*range(CHECKED)))
    with pytest.raises(CheckpointError, match=r"only up to 8e-06 is due to rounding"):
        device.analyse_all(images(CHECKED, CHECKED + 1))


def test_margins_are_those_of_each_image_and_nothing_that_is_no_number_is_far() -> None:
    watching = Watching(torch.tensor([0.1, 0.2, 0.1, 0.1]))
    values = torch.tensor([[1.35, 2.0], [1.35, 2.0], [1.65, -0.45], [float("nan"), 0.0]])
    whole = watching(values)
    assert torch.equal(whole[:3], torch.tensor([[1.0, 2.0], [1.0, 2.0], [2.0, -0.0]]))
    assert watching.close.tolist() == [False, True, True, True]
    watching.notice(torch.tensor([[0.05], [9.0], [9.0], [9.0]]))
    assert watching.close.all()


class Counting:
    """Decodes to the streams' first bytes and keeps the sizes of its batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def decode_all(self, sent: Sequence[Streams], height: int, width: int) -> Tensor:
        self.batches.append(len(sent))
        return (
            torch.tensor([float(streams[0][0]) for streams, _ in sent]).view(-1, 1, 1, 1).expand(-1, 1, height, width)
        )


def size_of(payload: Payload) -> tuple[int, int]:
    if len(payload.shape) != 2:
        raise WireError("two integers")
    return payload.shape[0], payload.shape[1]


def test_neighbours_of_one_size_are_decoded_together_in_order() -> None:
    coder = Counting()
    shapes = [(2, 3), (2, 3), (4, 1), (2, 3)]
    payloads = [Payload((bytes([number]),), shape) for number, shape in enumerate(shapes)]
    decoded = by_size(payloads, size_of, coder)
    assert coder.batches == [2, 1, 1]
    assert [tuple(each.shape) for each in decoded] == [(1, 1, *shape) for shape in shapes]
    assert [float(each.flatten()[0]) for each in decoded] == [0.0, 1.0, 2.0, 3.0]
    assert by_size([], size_of, coder) == []
    with pytest.raises(WireError, match="two integers"):
        by_size([*payloads, Payload((b"x",), ())], size_of, coder)


def test_a_part_has_images_of_one_size_and_a_bounded_number_of_pixels() -> None:
    sizes = [(64, 64)] * 40 + [(500, 300)] * 3 + [(64, 64)] + [(224, 224)] * 6 + [(2000, 2000)] * 2
    given = [np.zeros((*size, 3), dtype=np.uint8) for size in sizes]
    parts = list(_parts(iter(given)))
    assert [len(part) for part in parts] == [32, 8, 1, 1, 1, 1, 5, 1, 1, 1]
    assert [id(pixels) for part in parts for pixels in part] == [id(pixels) for pixels in given]
