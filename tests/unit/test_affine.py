"""The 8-bit quantiser against torchdistill's, which upstream uses, and its bytes."""

import struct

import pytest
import torch
from torch import Tensor
from torchdistill.common.tensor_util import quantize_tensor

from sc2.errors import WireError
from sc2.methods.reduction.affine import (
    SIDE_BYTES,
    Quantized,
    dequantize,
    from_bytes,
    quantize,
    through_quantizer,
    to_bytes,
)


def tensors() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 3, 9, 11, generator=generator)
    return [noise, 1e-4 * noise, 1e6 * noise, noise.relu(), -noise.relu(), noise + 2, noise.abs() + 5, noise - 20]


@pytest.mark.parametrize("x", tensors(), ids=range(8))
def test_agrees_with_upstreams_quantiser(x: Tensor) -> None:
    ours, theirs = quantize(x), quantize_tensor(x, 8)
    assert torch.equal(ours.symbols, theirs.tensor)
    assert ours.scale == theirs.scale.item()
    assert ours.zero_point == theirs.zero_point


@pytest.mark.parametrize("x", tensors()[:5], ids=range(5))
def test_a_range_around_zero_comes_back_within_a_step(x: Tensor) -> None:
    """The zero point is truncated to a whole number, so that the smallest value may lose up to a step."""
    quantized = quantize(x)
    error = (dequantize(quantized) - x).abs()
    assert error.max() <= 1.001 * quantized.scale
    inside = x > x.min() + quantized.scale
    assert error[inside].max() <= 0.501 * quantized.scale
    assert (dequantize(quantized)[x == 0] == 0).all()


@pytest.mark.parametrize("value", [0.0, 3.7, -0.2, 1e-30, -1e30])
def test_a_constant_comes_back_exactly(value: float) -> None:
    x = torch.full((1, 2, 3, 3), value)
    quantized = quantize(x)
    assert quantized.scale > 0
    assert torch.equal(dequantize(quantized), x)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(WireError, match="cannot be quantised; is the model sound"):
        quantize(torch.tensor([[0.0, value]]))


def test_every_item_of_a_batch_has_its_own_range() -> None:
    batch = torch.cat([tensors()[0], 1000 * tensors()[0]])
    arrived = through_quantizer(batch)
    for item, whole in zip(batch.split(1), arrived.split(1), strict=True):
        assert torch.equal(whole, dequantize(quantize(item)))


def test_bytes_are_scale_zero_point_and_symbols() -> None:
    quantized = Quantized(torch.tensor([[[[0, 7], [255, 1]]]], dtype=torch.uint8), 0.5, 128)
    data = to_bytes(quantized)
    assert data == struct.pack("<f", 0.5) + bytes([128]) + bytes([0, 7, 255, 1])
    assert len(data) == SIDE_BYTES + 4 == 9
    back = from_bytes(data, (1, 1, 2, 2))
    assert torch.equal(back.symbols, quantized.symbols)
    assert back[1:] == quantized[1:]


@pytest.mark.parametrize("x", tensors(), ids=range(8))
def test_what_arrives_is_what_was_sent(x: Tensor) -> None:
    quantized = quantize(x)
    assert torch.equal(dequantize(from_bytes(to_bytes(quantized), x.shape)), dequantize(quantized))


@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"\0" * 10])
def test_another_length_is_refused(data: bytes) -> None:
    with pytest.raises(WireError, match=r"a quantised tensor of shape \(1, 1, 2, 2\) has 9"):
        from_bytes(data, (1, 1, 2, 2))


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_step_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(WireError, match="must be positive and finite"):
        from_bytes(struct.pack("<fB", scale, 0) + b"\0" * 4, (1, 1, 2, 2))
