"""Makes `golden/v1/`: of every method a tiny device half without torch, its server half, and containers.

So it does of every option that changes what is sent (`OPTIONS` in `contract/conftest.py`).

    python -m tests.golden_streams

They are committed and stay as they are: every later version must read them (`sc2 selftest`). Only what has none is
added.
"""

import json
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sc2.commands.selftest import CHECKED, CONTAINER, DRAWN, EXPECTED, IMAGE
from sc2.device.half import ArtifactHalf
from sc2.methods import get_method
from sc2.runs.artifact import analysed, export_artifact, portable_of
from sc2.split.wire import pack
from tests.contract.conftest import eight_images, names_with_options
from tests.served import write_run
from tests.tiny_halves import tiny_case, tiny_payload

FOLDER = Path(__file__).parent / "golden" / "v1"


def make(name: str, folder: Path) -> None:
    """Write the golden streams of a method, or of a variant."""
    case = tiny_case(name, teacher_width=2)
    write_run(case, folder)
    fingerprint = bytes.fromhex(export_artifact(folder, folder).fingerprint)
    # Only the artifact is kept: what the device holds is in it.
    (folder / "device.pt").unlink()
    half, server_half, pixels = case.device(), case.server(), image_of(name)
    Image.fromarray(pixels).save(folder / IMAGE)
    payload, drawn = half.encode(pixels), tiny_payload(name, half)
    (folder / CONTAINER).write_bytes(pack(payload, fingerprint))
    (folder / DRAWN).write_bytes(pack(drawn, fingerprint))
    portable, artifact = portable_of(name, half, case.export().device.plain()), ArtifactHalf(folder)
    outputs = () if portable.network is None else analysed(portable, artifact, pixels).values
    logits = server_half.answer(server_half.decode(payload))[0].tolist()
    expected = {
        "sha256": {each: sha256((folder / each).read_bytes()).hexdigest() for each in CHECKED},
        "outputs": [{"shape": list(each.shape), "values": each.flatten().tolist()} for each in outputs],
        "drawn": server_half.decode(drawn).flatten().tolist(),
        "answer": [value if np.isfinite(value) else None for value in logits],
    }
    (folder / EXPECTED).write_text(json.dumps(expected) + "\n", encoding="utf-8")


def image_of(name: str) -> np.ndarray:
    """Return the image of a method, uint8 [H, W, 3], of the size that its network takes."""
    image = eight_images()[0]
    return np.tile(image, (2, 4, 1)) if get_method(name).family == "learned_codec" else image


def main() -> None:
    """Write what is missing."""
    torch.set_num_threads(1)
    for name in names_with_options():
        if not (FOLDER / name).is_dir():
            print(name, file=sys.stderr)
            make(name, FOLDER / name)


if __name__ == "__main__":
    main()
