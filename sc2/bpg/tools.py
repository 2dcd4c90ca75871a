"""libbpg's programs `bpgenc` and `bpgdec` with the published code's settings, through PNG files (docs/papers.md#bpg).

The published code passes `bpgenc` a JPEG copy of the image; here it gets a PNG, so that nothing is lost before BPG.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sc2.errors import SC2Error, WireError

_TIMEOUT_S = 600
_SETTINGS = ("-f", "444", "-e", "x265", "-c", "ycbcr", "-b", "8")


def encode(rgb: np.ndarray, qp: int) -> bytes:
    """Return the BPG file that `bpgenc` makes of an image, uint8 [H, W, 3], RGB.

    Raises:
        SC2Error: `bpgenc` is not on PATH, or it failed.
    """
    program = find("bpgenc")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.png"), Path(folder, "out.bpg")
        Image.fromarray(rgb).save(source, compress_level=1)
        status, output = _run([program, "-q", str(qp), *_SETTINGS, "-o", str(target), str(source)])
        if status != 0 or not target.is_file() or not target.stat().st_size:
            raise SC2Error(f"bpgenc wrote no file: status {status}: {output}")
        return target.read_bytes()


def decode(data: bytes) -> np.ndarray:
    """Return the picture of a BPG file as `bpgdec` decodes it, uint8 [H, W, 3], RGB.

    Raises:
        SC2Error: `bpgdec` is not on PATH or takes too long.
        WireError: `bpgdec` refuses the file.
    """
    program = find("bpgdec")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.bpg"), Path(folder, "out.png")
        source.write_bytes(data)
        status, output = _run([program, "-b", "8", "-o", str(target), str(source)])
        if status != 0:
            raise WireError(f"bpgdec cannot decode the BPG file: status {status}: {output}")
        try:
            with Image.open(target, formats=["PNG"]) as image:
                return np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError) as error:
            raise WireError(f"bpgdec wrote no picture: {output}") from error


def find(program: str) -> str:
    """Return the path of one of libbpg's programs.

    Raises:
        SC2Error: It is not on PATH.
    """
    path = shutil.which(program)
    if path is None:
        raise SC2Error(
            f"{program} is not on PATH. Install libbpg 0.9.8, or set params.codec of the method bpg to 'own', which "
            "uses this package's own writer and reader"
        )
    return path


def _run(command: list[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise SC2Error(f"{command[0]} took more than {_TIMEOUT_S} s") from error
    return done.returncode, (done.stdout + done.stderr).strip()
