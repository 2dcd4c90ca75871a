"""The Entropic Student of the default, on a few of its images: the jobs that `make profile` times.

Networks, images and batches have the default's size. The teacher has random weights, on which no time depends.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sc2.backbones.teacher import TeacherCheckpoint
from sc2.checkpoint import load_checkpoint, save_atomically
from sc2.config.resolved import Config
from sc2.data import prepare
from sc2.job import RunningJob
from sc2.jobs.identity import job
from sc2.jobs.stages import STAGES
from sc2.methods import get_method
from sc2.runs import export
from sc2.training.recipe import Recipe

METHOD, PHASE = "entropic_student", "distill"

Inputs = Mapping[str, Path | list[Path]]


@dataclass(frozen=True)
class Images:
    """How many images each split has."""

    train: int
    val: int
    test: int


class Setting:
    """One training and its evaluation.

    Args:
        config: Its first benchmark is the one.
        folder: Where everything is put.
        images: How many images there are.
    """

    def __init__(self, config: Config, folder: Path, images: Images) -> None:
        self.config, self.folder = config, folder
        self.benchmark = next(iter(config.benchmarks.values()))
        self.run = {"benchmark": self.benchmark.name, "method": METHOD, "seed": "0"}
        self.run["point"] = self.benchmark.methods[METHOD].points[0]
        self.data = {name: folder / "data" / name for name in ("index", "meta", "train", "val", "test")}
        self.teacher = folder / "teacher.pt"
        self._make_data(images)
        self._make_teacher()

    def _make_data(self, images: Images) -> None:
        name = self.benchmark.config.dataset
        planned = job(self.config, "prepare_data", {"dataset": name})
        assert planned is not None
        dataset = {**planned.spec["dataset"], "images": vars(images)}
        prepare.run(self._job("prepare_data", {"dataset": name}, {**planned.spec, "dataset": dataset}, {}, self.data))

    def _make_teacher(self) -> None:
        classes = [str(digit) for digit in range(10)]
        network = self.benchmark.network
        content = {"kind": "teacher", "task": self.benchmark.config.task, "backbone": network.model_dump(mode="json")}
        torch.manual_seed(0)
        untrained = TeacherCheckpoint(task=content["task"], backbone=network, classes=classes, state={}).untrained()
        save_atomically({**content, "classes": classes, "state": untrained.state_dict()}, self.teacher)

    def training(self) -> RunningJob:
        """Return the job that trains the first phase for one epoch, as the papers do: with noise."""
        planned = job(self.config, "train", {**self.run, "phase": PHASE})
        assert planned is not None
        arch, phase = {**planned.spec["arch"], "quantiser": "noise"}, {**planned.spec["phase"], "epochs": 1}
        spec = {**planned.spec, "arch": arch, "phase": phase}
        inputs = {name: self.data[name] for name in ("index", "train", "val")} | {"teacher": self.teacher}
        made = {name: self.folder / f"{PHASE}.{name}" for name in ("checkpoint", "history")}
        return self._job("train", {**self.run, "phase": PHASE}, spec, {**inputs, "previous": [], "encoder": []}, made)

    def evaluation(self) -> RunningJob:
        """Export what the training has made, and return the job that evaluates it."""
        halves = {name: self.folder / f"{name}.pt" for name in ("device", "server", "costs")}
        planned, trained = job(self.config, "export", self.run), self.training()
        assert planned is not None
        spec = {**planned.spec, "arch": trained.spec["arch"]}
        inputs: Inputs = {"teacher": self.teacher, "checkpoint": [trained.outputs["checkpoint"]]}
        export.run(self._job("export", self.run, spec, inputs, halves))
        planned = job(self.config, "evaluate", self.run)
        assert planned is not None
        made = {name: self.folder / f"evaluate.{name}" for name in ("samples", "summary")}
        inputs = {name: self.data[name] for name in ("index", "test")} | halves
        return self._job("evaluate", self.run, planned.spec, inputs, made)

    def teacher_checkpoint(self) -> TeacherCheckpoint:
        """Return the teacher."""
        return TeacherCheckpoint.of(load_checkpoint(self.teacher, "teacher"))

    def _job(
        self, stage: str, keys: Mapping[str, str], spec: Mapping[str, Any], inputs: Inputs, outputs: Mapping[str, Path]
    ) -> RunningJob:
        for path in outputs.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        ordered = {key: keys[key] for key in STAGES[stage].keys}
        return RunningJob(stage, ordered, spec, inputs, outputs, record_id=secrets.token_hex(8), label=stage)


def recipe_of(training: RunningJob) -> Recipe:
    """Return the recipe of a training, with the weights that it starts from."""
    method = get_method(METHOD)
    teacher = load_checkpoint(training.input("teacher"), "teacher")
    context = method.context(training.spec["arch"], training.keys["point"], training.spec["input"], teacher, None)
    torch.manual_seed(int(training.keys["seed"]))
    return method.training(method.phase_params(training.keys["phase"], training.spec["phase"]), context)
