"""From stored pixels to a network's input."""

import numpy as np
import torch
from torch import Tensor

from sc2.data.spec import PixelSpec


def normalise(pixels: Tensor, spec: PixelSpec) -> Tensor:
    """Turn uint8 images [B, 3, H, W] into the network's input: (x / 255 - mean) / std, float32 [B, 3, H, W]."""
    mean = torch.tensor(spec.mean, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(spec.std, device=pixels.device).view(1, 3, 1, 1)
    # In place from the first result on: new memory takes longer than the arithmetic.
    return (pixels.float() / 255).sub_(mean).div_(std)


def to_batch(pixels: np.ndarray) -> Tensor:
    """Turn one image, uint8 [H, W, 3], into a batch of one, uint8 [1, 3, H, W]."""
    # A copy: Pillow returns memory that torch must not write to.
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).unsqueeze(0)
