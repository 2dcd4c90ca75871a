"""Between an image and the input of a learned codec: values in [0, 1], sides that are multiples of 64."""

import torch
from torch import Tensor
from torch.nn import functional

from sc2.data.spec import PixelSpec

MULTIPLE = 64
"""The coarsest latent of the hyperprior codecs is 64 times smaller than the image."""
IMAGES_AT_ONCE = 16
"""The widest layers run at half the image's resolution: a whole evaluation batch of them would fill the memory."""
STRIDE = 16
"""Stride of the latent y relative to the padded image."""


def padded_side(side: int) -> int:
    """Return the smallest multiple of 64 that is not below `side` (pixels)."""
    return -(-side // MULTIPLE) * MULTIPLE


def latent_side(side: int) -> int:
    """Return the side of the latent y of an image of side `side` (pixels) after padding."""
    return padded_side(side) // STRIDE


def pad(images: Tensor) -> Tensor:
    """Pad images [B, C, H, W] with zeros at the right and the bottom until both sides are multiples of 64."""
    height, width = images.shape[2:]
    return functional.pad(images, (0, padded_side(width) - width, 0, padded_side(height) - height))


def unpad(images: Tensor, height: int, width: int) -> Tensor:
    """Crop padded images [B, C, H, W] to [B, C, height, width]: the exact inverse of `pad`."""
    return images[:, :, :height, :width]


def denormalise(images: Tensor, spec: PixelSpec) -> Tensor:
    """Turn normalised 8-bit images [B, 3, H, W] back into values in [0, 1], each exactly a multiple of 1/255.

    Args:
        images: Result of `sc2.data.normalise.normalise` for uint8 pixels.
        spec: How the pixels were normalised.
    """
    mean = torch.tensor(spec.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=images.device).view(1, 3, 1, 1)
    # Rounded, because the device sees the pixels themselves: a difference in the last bit could change a symbol.
    return torch.round((images * std + mean) * 255) / 255
