"""Padding is undone exactly, whatever the size; pixels come back exactly from what a network is fed with."""

import numpy as np
import pytest
import torch

from sc2.data.normalise import normalise
from sc2.data.spec import PixelSpec
from sc2.methods.learned_codec.images import denormalise, latent_side, pad, padded_side, unpad

SIZES = [(1, 1), (1, 2), (1, 200), (64, 64), (63, 65), (65, 63), (225, 223), (128, 1), (64, 129)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_unpad_is_the_inverse_of_pad(height: int, width: int) -> None:
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(height * 1000 + width))
    padded = pad(images)
    assert padded.shape[2] % 64 == padded.shape[3] % 64 == 0
    assert padded.shape[2] - height < 64
    assert padded.shape[3] - width < 64
    assert torch.equal(unpad(padded, height, width), images)
    # Zeros at the right and the bottom, and nothing else.
    assert padded.sum() == pytest.approx(images.sum().item(), rel=1e-5)
    assert padded[:, :, height:].abs().sum() == padded[:, :, :, width:].abs().sum() == 0


def test_unpad_is_the_inverse_of_pad_for_random_sizes() -> None:
    generator = np.random.default_rng(0)
    for height, width in generator.integers(1, 300, (50, 2)).tolist():
        images = torch.rand(1, 1, height, width)
        assert torch.equal(unpad(pad(images), height, width), images)


def test_a_centre_crop_would_not_undo_the_padding() -> None:
    """What upstream does: the image it classifies is shifted by half of the padding."""
    images = torch.rand(1, 3, 224, 224)
    shifted = pad(images)[:, :, 16:240, 16:240]
    assert not torch.equal(shifted, images)
    assert torch.equal(shifted[:, :, :208, :208], images[:, :, 16:, 16:])
    assert shifted[:, :, 208:].abs().sum() == 0


@pytest.mark.parametrize(("side", "padded"), [(1, 64), (63, 64), (64, 64), (65, 128), (224, 256), (225, 256)])
def test_sides(side: int, padded: int) -> None:
    assert padded_side(side) == padded
    assert latent_side(side) == padded // 16


@pytest.mark.parametrize("std", [(0.25, 0.25, 0.25), (0.229, 0.224, 0.225)])
def test_denormalise_gives_the_pixels_back_exactly(std: tuple[float, float, float]) -> None:
    spec = PixelSpec(mean=(0.485, 0.456, 0.406), std=std)
    pixels = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 3, 16, 16)
    assert torch.equal(denormalise(normalise(pixels, spec), spec), pixels.float() / 255)
