"""One training configuration from its first phase to the evaluation: the real jobs, but few steps on few images."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import torch
from torch import Tensor

from sc2.config.resolved import Config
from sc2.job import RunningJob
from sc2.jobs.identity import job
from sc2.jobs.plan import Run, encoder_from, last_phase, phases_before, trainings
from sc2.jobs.stages import STAGES
from sc2.tasks import get_task
from sc2.training import driver, loop
from sc2.training.recipe import Recipe
from tests.grid.layouts import TEST_IMAGES, cut_index, write_layout
from tests.grid.weights import random_weights

BATCH = 2
"""Images in a step: enough for batch norms and for padding images of two sizes to one."""


@dataclass(frozen=True)
class Trial:
    """The jobs of a run file on tiny data.

    Attributes:
        config: The run file.
        steps: Steps of each phase.
        shared: Where data sets and teachers are; absolute.
    """

    config: Config
    steps: int
    shared: Path

    def dataset(self, name: str) -> dict[str, Path]:
        """Return the files of a data set, by name."""
        folder = self.shared / "data" / name
        return {"index": folder / "index.jsonl", "meta": folder / "meta.json"} | {
            split: folder / f"{split}.tar" for split in ("train", "val", "test")
        }

    def teacher(self, benchmark: str) -> Path:
        """Return the file of a benchmark's teacher."""
        return self.shared / "teachers" / benchmark / "teacher.pt"

    def prepare(self, name: str, folder: Path) -> None:
        """Write a data set in its official layout and let the stage `prepare_data` read it; `folder` is not used."""
        outputs = self.dataset(name)
        outputs["index"].parent.mkdir(parents=True, exist_ok=True)
        layout = self.shared / "layouts" / name
        content = write_layout(self.config.datasets[name], layout, self.steps * BATCH)
        self._run("prepare_data", {"dataset": name}, {}, outputs, {"name": name, "dataset": content})

    def fetch(self, benchmark: str, folder: Path) -> None:
        """Let the stage `fetch_teacher` convert random weights; `folder` is not used."""
        seeds = self.config.benchmarks[benchmark].teacher_seeds(self.config.run)
        output, inputs = self.teacher(benchmark), {"meta": self._data(benchmark)["meta"]}
        output.parent.mkdir(parents=True, exist_ok=True)
        keys = {"benchmark": benchmark, "seed": seeds[0]}
        self._run("fetch_teacher", keys, inputs, {"checkpoint": output}, self._spec("fetch_teacher", keys))

    def run(self, run: Run, folder: Path) -> None:
        """Train all phases of a run, export it, and send the test images through the wire.

        Args:
            run: A run that is trained.
            folder: Where its files are written.

        Raises:
            AssertionError: It ended, but has not done what it should.
        """
        keys, data, files = vars(run), self._data(run.benchmark), folder / "run"
        checkpoint = self._trained(run, folder / "checkpoints")
        files.mkdir(parents=True)
        halves = {name: files / f"{name}.pt" for name in ("device", "server")} | {"costs": files / "costs.json"}
        self._run(
            "export",
            keys,
            {"teacher": self.teacher(run.benchmark), "checkpoint": [checkpoint]},
            halves,
            self._spec("export", keys),
        )
        outputs = {"samples": files / "samples.parquet", "summary": files / "summary.json"}
        inputs = {"index": data["index"], "test": data["test"], **halves}
        self._run("evaluate", keys, inputs, outputs, self._spec("evaluate", keys))
        summary = json.loads(outputs["summary"].read_text(encoding="utf-8"))
        sizes = pd.read_parquet(outputs["samples"])["payload_bytes"].tolist()
        assert summary["images"] == len(sizes) == TEST_IMAGES, f"{len(sizes)} images were evaluated"
        assert min(sizes) > 0, f"the payloads have {sizes} bytes"

    def reduced(self, run: Run) -> str:
        """Say how many images a step has instead of how many, e.g. `64 → 2, 128 → 2`."""
        method = self.config.benchmarks[run.benchmark].methods[run.method]
        batches = []
        for name in trainings(self.config, run):
            params: Any = method.phase(name, run.point)
            batches.append(f"{params.batch_size} → {self._batch(run, params.batch_size)}" if params.epochs else "none")
        return ", ".join(batches)

    def _batch(self, run: Run, planned: int) -> int:
        task = get_task(self.config.benchmarks[run.benchmark].config.task)
        return min(planned, max(BATCH, task.least_batch))

    def _trained(self, run: Run, folder: Path) -> Path:
        """Train the phases of a run, and before them those of the run that it takes its encoder from."""
        done: dict[str, Path] = {}
        data, teacher = self._data(run.benchmark), self.teacher(run.benchmark)
        own = folder / run.benchmark
        own.mkdir(parents=True)
        for phase in trainings(self.config, run):
            encoders = [self._trained(source, folder) for source in encoder_from(self.config, run, phase)]
            keys = {**vars(run), "phase": phase}
            spec = self._spec("train", keys)
            epochs, batch = spec["phase"]["epochs"], self._batch(run, spec["phase"]["batch_size"])
            spec["phase"] |= {"epochs": min(epochs, 1), "batch_size": batch}
            outputs = {"checkpoint": own / f"{phase}.pt", "history": own / f"{phase}.csv"}
            previous = [done[name] for name in phases_before(run.method, phase)]
            inputs = {name: data[name] for name in ("index", "train", "val")} | {"teacher": teacher}
            inputs["index"] = cut_index(data["index"], own / "index.jsonl", self.steps * batch)
            with watched(self.steps if epochs else 0):
                self._run("train", keys, {**inputs, "previous": previous, "encoder": encoders}, outputs, spec)
            done[phase] = outputs["checkpoint"]
            history = pd.read_csv(outputs["history"])
            assert len(history) == 1, f"{phase}: the history has {len(history)} rows"
        return done[last_phase(run.method)[0]]

    def _data(self, benchmark: str) -> dict[str, Path]:
        return self.dataset(self.config.benchmarks[benchmark].config.dataset)

    def _spec(self, stage: str, keys: Mapping[str, str]) -> dict[str, Any]:
        planned = job(self.config, stage, keys)
        assert planned is not None, f"{self.config.path} plans no {stage} of {'/'.join(keys.values())}"
        return planned.spec

    def _run(
        self,
        stage: str,
        keys: Mapping[str, str],
        inputs: Mapping[str, Path | list[Path]],
        outputs: Mapping[str, Path],
        spec: Mapping[str, Any],
    ) -> None:
        name = "/".join([stage, *keys.values()])
        running = RunningJob(stage, keys, spec, inputs, outputs, record_id=name.replace("/", "-"), label=name)
        torch.manual_seed(0)
        try:
            with random_weights(Path.cwd()):
                STAGES[stage].load()(running)
        except Exception as error:
            error.add_note(f"in {name}")
            raise


@contextmanager
def watched(steps: int) -> Iterator[None]:
    """Check the training in the block: so many steps, of which all that is frozen is unchanged and some is not.

    Raises:
        AssertionError: It was otherwise.
    """
    fit, step = loop.fit, loop._step

    def checked_fit(recipe: Recipe, *args: Any, **kwargs: Any) -> Any:
        trained, frozen = recipe.trained_parameters, list(recipe.frozen)
        before, kept = _copies(trained()), [_copies(module.state_dict().values()) for module in frozen]
        with mock.patch.object(loop, "_step", wraps=step) as counted:
            history = fit(recipe, *args, **kwargs)
        assert counted.call_count == steps, f"{counted.call_count} steps instead of {steps}"
        for module, values in zip(frozen, kept, strict=True):
            assert _same(module.state_dict().values(), values) == len(values), "what is frozen has changed"
        moved = len(before) - _same(trained(), before)
        assert bool(moved) == bool(steps), f"{moved} of {len(before)} tensors changed in {steps} steps"
        return history

    with mock.patch.object(driver, "fit", checked_fit):
        yield


def _copies(values: Any) -> list[Tensor]:
    return [value.detach().clone() for value in values]


def _same(values: Any, others: list[Tensor]) -> int:
    return sum(bool(torch.equal(value.detach(), other)) for value, other in zip(values, others, strict=True))
