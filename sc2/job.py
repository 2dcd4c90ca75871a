"""What a stage sees when it runs: its resolved configuration and its files, nothing else.

A stage is a function `run(job: RunningJob) -> None`. It reads `job.inputs`, writes every path in `job.outputs` and
takes all its settings from `job.spec`, so that the spec and the inputs identify the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunningJob:
    """One job as the command line passes it to its stage.

    Attributes:
        stage: Name of the stage, e.g. `train`.
        keys: The wildcards, e.g. `{"benchmark": "photodigits_resnet", "method": "jpeg", "point": "10", "seed": "0"}`.
        spec: The resolved configuration that this job depends on (JSON types only).
        inputs: Paths by name; a list for a name that takes several files.
        outputs: Paths by name; their folders exist.
        record_id: Id of the provenance record that will be written beside the outputs (16 hex digits).
        threads: CPU threads the job may use.
        gpus: Processes that a training runs in, one per GPU; results are the same up to rounding.
        micro_batch: Most images that a training computes at once; None for no limit. Results are the same up to
            rounding.
        label: Shown at the start of each progress line.
        beside: Files that the stage writes beside its outputs because their names depend on its inputs; the stage adds
            each before it writes it. Where the job fails they are removed like the outputs.
    """

    stage: str
    keys: Mapping[str, str]
    spec: Mapping[str, Any]
    inputs: Mapping[str, Path | list[Path]]
    outputs: Mapping[str, Path]
    record_id: str
    threads: int = 1
    gpus: int = 1
    micro_batch: int | None = None
    label: str = field(default="")
    beside: list[Path] = field(default_factory=list)

    @property
    def state(self) -> Path:
        """File in which a training keeps its state until the record is written.

        It is outside the outputs, which the workflow removes on failure. The record's id is in its name, so that only
        the same job resumes from it.
        """
        return Path("scratch") / "training" / f"{self.record_id}.pt"

    def input(self, name: str) -> Path:
        """Return the single input file called `name`."""
        path = self.inputs[name]
        assert isinstance(path, Path), f"{name} holds several files"
        return path

    def input_list(self, name: str) -> list[Path]:
        """Return the input files called `name`, possibly none."""
        paths = self.inputs[name]
        assert isinstance(paths, list), f"{name} holds one file"
        return paths
