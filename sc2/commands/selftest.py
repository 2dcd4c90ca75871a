"""`sc2 selftest`: the golden streams of every method, encoded and decoded on this machine.

A folder per method holds an artifact, `server.pt`, `image.png`, the containers `image.sc2` and `drawn.sc2`, whose
symbols are of every kind, and `expected.json`. Everything but a network's own outputs must be the same to the last bit.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from sc2.commands.sending import read_image
from sc2.data.transform import decode_image
from sc2.device.artifact import is_artifact
from sc2.device.half import ArtifactHalf, tolerances
from sc2.device.senders import Analysed, differing
from sc2.errors import ConfigError, SC2Error, WireError
from sc2.split.wire import Payload, pack, unpack

IMAGE, CONTAINER, DRAWN, EXPECTED = "image.png", "image.sc2", "drawn.sc2", "expected.json"
CHECKED = (IMAGE, CONTAINER, DRAWN, "server.pt")
"""Files whose SHA-256 is in `expected.json`; the artifact has its own."""


def selftest(folder: Path) -> int:
    """Check every method's folder, print a line for each, and return 0 if all pass, else 1.

    Args:
        folder: The golden streams, e.g. `tests/golden/v1`.

    Raises:
        ConfigError: There are none.
    """
    cases = sorted(path for path in folder.glob("*") if is_artifact(path))
    if not cases:
        raise ConfigError(f"{folder} holds no golden streams; name the folder tests/golden/v1 of a checkout")
    failed = 0
    for case in cases:
        try:
            print(f"ok    {case.name}: {'; '.join(check(case))}", flush=True)
        except SC2Error as error:
            failed += 1
            print(f"FAIL  {case.name}: {error}", flush=True)
    print(f"{len(cases) - failed} of {len(cases)} methods pass")
    return 1 if failed else 0


def check(case: Path) -> Iterator[str]:
    """Check one method, and yield what was found, in words.

    Raises:
        CheckpointError: The artifact or the server half is damaged.
        WireError: Something is encoded or decoded to something else than expected.
    """
    expected = json.loads((case / EXPECTED).read_bytes())
    for name, digest in expected["sha256"].items():
        if sha256((case / name).read_bytes()).hexdigest() != digest:
            raise WireError(f"{name} is damaged: it is not the file that is expected")
    yield _device(case, expected)
    if find_spec("torch") is None:
        yield "no torch: server not checked"
    else:
        yield _server(case, expected)


def _device(case: Path, expected: dict[str, Any]) -> str:
    half = ArtifactHalf(case)
    if half.artifact.method == "bpg" and find_spec("av") is None:
        return "no PyAV: device not checked"
    pixels = np.asarray(decode_image(read_image(case / IMAGE), IMAGE))
    sent = unpack((case / CONTAINER).read_bytes(), half.fingerprint)
    own = half.analyse(pixels)
    outputs = [np.array(each["values"], np.float32).reshape(each["shape"]) for each in expected["outputs"]]
    reference = Analysed(tuple(outputs), own.height, own.width, own.step) if outputs else own
    _demand(pack(half.sender.send(reference), half.fingerprint), (case / CONTAINER).read_bytes(), "device")
    away = max(map(tolerances, own.values, outputs), default=0.0)
    if away > 1:
        raise WireError(f"the network's outputs are {away:.1f} tolerances away from the expected ones")
    ties = differing(half.sender.symbols(own), half.sender.symbols(reference))
    return _sameness(half.encode(pixels), sent, ties, half.sender.side_values)


def _sameness(own: Payload, sent: Payload, ties: int, side_values: bool) -> str:
    if own == sent:
        return "the image's payload is the same"
    if not ties and not side_values:
        raise WireError("the image's payload has other bytes for the same symbols")
    return f"the image's payload differs: {ties} symbols are rounded differently" if ties else "last bits differ"


def _server(case: Path, expected: dict[str, Any]) -> str:
    import torch

    from sc2.runs.halves import load_server

    half, content = load_server(case)
    fingerprint = bytes.fromhex(content["fingerprint"])
    drawn = half.decode(unpack((case / DRAWN).read_bytes(), fingerprint)).flatten()
    if drawn.tolist() != expected["drawn"]:
        raise WireError(f"{DRAWN} is decoded to other values")
    logits = half.answer(half.decode(unpack((case / CONTAINER).read_bytes(), fingerprint)))[0]
    wanted = torch.tensor([-torch.inf if value is None else value for value in expected["answer"]])
    if not torch.allclose(logits, wanted, rtol=1e-4, atol=1e-4):
        raise WireError(f"the answer is {logits.tolist()}, not {wanted.tolist()}")
    return "decoded and answered as expected"


def _demand(own: bytes, expected: bytes, what: str) -> None:
    if own != expected:
        raise WireError(f"the {what} sends other bytes for the same outputs of the network")
