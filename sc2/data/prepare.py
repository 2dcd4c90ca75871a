"""The stage `prepare_data`: makes a data set and stores it."""

import importlib
import importlib.util
import sys
from typing import Protocol, cast

from tqdm import tqdm

from sc2.data.source import SPLITS, Source
from sc2.data.writer import StoreWriter
from sc2.errors import ConfigError
from sc2.job import RunningJob


class _Kind(Protocol):
    def open_dataset(self, config: object) -> Source: ...


def run(job: RunningJob) -> None:
    """Make the data set of the job's spec: `{"name": str, "dataset": {"kind": str, …}}`.

    Each kind of data set is a file of that name in this folder. Outputs: `index`, `meta`, `train`, `val`, `test`.

    Raises:
        ConfigError: There is no such kind.
        DataError: The data set cannot be made, or all of its test images are in other splits too; no output is
            left behind.
    """
    name, dataset = job.spec["name"], job.spec["dataset"]
    source = _kind(dataset["kind"]).open_dataset(dataset)
    with StoreWriter(name, source.classes, job.outputs, source.folder) as writer:
        total, quiet = sum(source.counts.values()), not sys.stderr.isatty()
        for sample in tqdm(source.samples, total=total, desc=name, unit="image", leave=False, disable=quiet):
            writer.add(sample)
        writer.check_overlaps()
    for split in SPLITS:
        print(f"{name}: {split}: {source.counts[split]} images", file=sys.stderr)


def _kind(kind: str) -> _Kind:
    module = f"sc2.data.{kind}"
    if importlib.util.find_spec(module) is None:
        raise ConfigError(f"dataset: kind is {kind!r}, but there is no {module.replace('.', '/')}.py")
    return cast(_Kind, importlib.import_module(module))
