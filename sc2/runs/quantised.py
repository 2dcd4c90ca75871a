"""The network of an artifact in 8 bits, and what that costs in quality.

Weights and the inputs of convolutions and products are quantised to 8 bits (onnxruntime's static quantisation, a scale
per channel of the weights), with ranges from images of the validation split. What is rounded to symbols stays float32.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sc2.data.spec import InputSpec
from sc2.data.store import SampleStore
from sc2.device.half import ArtifactHalf
from sc2.runs.answers import Answers
from sc2.runs.halves import load_device, load_server
from sc2.split.rates import Encodes
from sc2.tasks import get_task

_WEIGHTED = ("Conv", "MatMul", "Gemm")


def quantised(network: bytes, inputs: Iterable[dict[str, NDArray[np.float32]]]) -> bytes:
    """Return an ONNX file with 8-bit weights and activations.

    Args:
        network: The ONNX file.
        inputs: The network's inputs for a few images, by name.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = iter(inputs)

        def get_next(self) -> Any:
            return next(self.left, None)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        quantize_static(
            onnx.load_from_string(network),
            path,
            Reader(),
            op_types_to_quantize=list(_WEIGHTED),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            # Without instructions for products of 8 bits, sums of full ones would overflow (onnxruntime's advice).
            reduce_range=True,
            extra_options={"OpTypesToExcludeOutputQuantization": list(_WEIGHTED)},
        )
        return path.read_bytes()


def quality(run: Path, half: Encodes, store: SampleStore) -> dict[str, float | None]:
    """Return the task's measures of a split, in percent, when a half encodes it.

    Args:
        run: The folder of `server.pt`.
        half: The device half that encodes, of torch or of an artifact.
        store: The split.
    """
    server, content = load_server(run)
    spec, task = InputSpec.model_validate(content["input"]), get_task(content["task"])
    answers = Answers(task, store, spec, len(content["classes"]), server.answer)
    for index in range(len(store)):
        answers.receive(index, server.decode(half.encode(answers.image(index))))
    answers.finish()
    return answers.scorer.summary()


def qualities(run: Path, folder: Path, store: SampleStore) -> dict[str, tuple[float | None, float | None]]:
    """Return each measure with the half of torch and with its artifact.

    Args:
        run: The folder of `device.pt` and `server.pt`.
        folder: The artifact.
        store: The split.
    """
    one, other = (quality(run, half, store) for half in (load_device(run)[0], ArtifactHalf(folder)))
    return {name: (one[name], other[name]) for name in one}
