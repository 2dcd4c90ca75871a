"""BPG on photographs: rate and PSNR over QP, and against JPEG at equal PSNR."""

import io
import os
import tarfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sc2.bpg.decode import decode
from sc2.bpg.encode import encode

ARCHIVE = "kodak24.tar"
CROP = 192
QPS = (15, 25, 35, 45)
QUALITIES = (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 98)


def photograph(name: str) -> np.ndarray:
    """Return the middle of a Kodak image, uint8 [CROP, CROP, 3]."""
    folder = os.environ.get("SC2_DATA")
    if not folder or not (Path(folder) / ARCHIVE).is_file():
        pytest.skip(f"SC2_DATA names no folder that holds {ARCHIVE}")
    with tarfile.open(Path(folder) / ARCHIVE) as archive:
        file = archive.extractfile(f"kodak/{name}.png")
        assert file is not None
        pixels = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
    top, left = ((size - CROP) // 2 for size in pixels.shape[:2])
    return pixels[top : top + CROP, left : left + CROP]


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((one.astype(float) - two) ** 2))


def jpeg_curve(pixels: np.ndarray) -> tuple[list[float], list[float]]:
    """Return PSNR (dB) and log of bytes of JPEG 4:4:4, by rising quality."""
    qualities, rates = [], []
    for quality in QUALITIES:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0, optimize=True)
        rates.append(float(np.log(file.tell())))
        qualities.append(psnr(np.asarray(Image.open(file)), pixels))
    return qualities, rates


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["kodim05", "kodim15", "kodim23"])
def test_rate_and_psnr_over_qp_and_against_jpeg(name: str) -> None:
    pixels = photograph(name)
    files = [encode(pixels, qp) for qp in QPS]
    qualities = [psnr(decode(data), pixels) for data in files]
    assert all(len(one) > 1.3 * len(two) for one, two in pairwise(files))
    assert all(one > two + 2 for one, two in pairwise(qualities))
    jpeg_qualities, jpeg_rates = jpeg_curve(pixels)
    assert jpeg_qualities == sorted(jpeg_qualities)
    inside = [(q, d) for q, d in zip(qualities, files, strict=True) if jpeg_qualities[0] < q < jpeg_qualities[-1]]
    assert len(inside) >= 2
    ratios = [len(data) / np.exp(np.interp(q, jpeg_qualities, jpeg_rates)) for q, data in inside]
    assert max(ratios) < 0.85, ratios
    print(name, "bytes of BPG per byte of JPEG at equal PSNR:", [round(float(ratio), 2) for ratio in ratios])
