"""`sc2 export-device`: a device half as files that need no torch, compared with the half on images."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sc2.data.spec import InputSpec
from sc2.data.store import SampleStore
from sc2.data.transform import Pixels
from sc2.errors import ConfigError
from sc2.runs.artifact import Comparison, compare, export_artifact
from sc2.runs.halves import load_device
from sc2.runs.quantised import qualities

CALIBRATION_IMAGES = 64


def export_device(
    checkpoint: Path, folder: Path, images: Path | None, limit: int | None, *, int8: bool
) -> Iterator[str]:
    """Write the artifact of a device half, and yield lines for the user.

    Args:
        checkpoint: The folder of an exported run, or its device half.
        folder: The artifact's folder.
        images: A prepared data set, whose test split both halves encode; or None.
        limit: Only so many images.
        int8: Quantise the network to 8 bits, with ranges from the validation split.

    Raises:
        CheckpointError: There is no usable device half, or the artifact sends something else than it.
        ConfigError: Images are needed.
        DataError: There is no such data set.
    """
    calibration = None
    if int8:
        if images is None:
            raise ConfigError("--int8 needs --images: the ranges of values come from the data set's validation split")
        spec = InputSpec.model_validate(load_device(checkpoint)[1]["input"])
        calibration = list(_images(_store(images, "val"), spec, CALIBRATION_IMAGES))
    artifact = export_artifact(checkpoint, folder, calibration)
    size = sum(file.stat().st_size for file in folder.iterdir())
    yield f"{folder}: {artifact.method} {artifact.point}, {size} bytes, model {artifact.fingerprint}"
    if images is None:
        return
    store = _store(images, "test")
    yield described(compare(checkpoint, folder, _images(store, artifact.input, limit)))
    if int8 and checkpoint.is_dir():
        for name, (one, other) in qualities(checkpoint, folder, store).items():
            yield f"{name}: {_percent(one)} with torch, {_percent(other)} in 8 bits"


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f} %"


def described(found: Comparison) -> str:
    """Return what a comparison found, in words."""
    text = (
        f"{found.same} of {found.images} images have the same payload; {found.ties} of {found.symbols} symbols are "
        f"rounded differently; {found.bytes} bytes of payload, with torch {found.torch_bytes}; outputs differ by at "
        f"most {found.largest:.3g} tolerances"
    )
    if found.side_only:
        text += f"; of {found.side_only} images only real numbers differ, in their last bits"
    return text


def _store(folder: Path, split: str) -> SampleStore:
    return SampleStore(folder / "index.jsonl", folder / f"{split}.tar", split)


def _images(store: SampleStore, spec: InputSpec, limit: int | None) -> Iterator[Pixels]:
    return (pixels for _, pixels, _ in islice(store.all_prepared(spec), limit))
