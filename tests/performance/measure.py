"""Processor time of this project and of what it is compared with, in turn, as ratios."""

import resource
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from sc2.checkpoint import load_phase
from sc2.data.spec import Augmentation, InputSpec
from sc2.data.store import SampleStore
from sc2.methods.student.params import AXIS, StudentArch
from sc2.runs import evaluate, train
from sc2.training import driver
from sc2.training.loop import Batches
from tests.forks import Workflow
from tests.performance.published import Distillation, Files, Student, files_of, transform_of
from tests.performance.published import evaluate as evaluate_published
from tests.performance.setting import Setting, recipe_of

EVALUATING = ("numpy", "torch", "pandas", "pyarrow.parquet", "yaml", "pydantic.main", "PIL.Image", "constriction")
TRAINING = (*EVALUATING, "compressai.entropy_models", "torchdistill.core.forward_hook")
"""What a job of either kind imports from elsewhere, as far as it takes long."""


@dataclass(frozen=True)
class Comparison:
    """How long something takes here and elsewhere, once per repeat.

    Attributes:
        what: What was timed.
        ours: Processor time of this project (s).
        theirs: Processor time of the other way (s), in the same order.
        count: How often each repeat does what is named.
    """

    what: str
    ours: list[float]
    theirs: list[float]
    count: int

    @property
    def ratios(self) -> list[float]:
        """How many times as long the other way takes, in each repeat."""
        return [other / own for own, other in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    def milliseconds(self, seconds: list[float]) -> float:
        """Return the median time of one of what is named (ms)."""
        return 1000 * statistics.median(seconds) / self.count


def in_turn(what: str, ours: Callable[[], float], theirs: Callable[[], float], repeats: int, count: int) -> Comparison:
    """Time two ways alternately; the first to go changes with each repeat, and one repeat before them is dropped."""
    times: dict[Callable[[], float], list[float]] = {ours: [], theirs: []}
    for repeat in range(repeats + 1):
        for way in (ours, theirs) if repeat % 2 else (theirs, ours):
            times[way].append(way())
    return Comparison(what, times[ours][1:], times[theirs][1:], count)


def starts(folder: Path, repeats: int) -> Iterator[Comparison]:
    """Time what a job does before its own work: as a fork of a process that has the libraries, and alone."""
    folder.mkdir()
    workflow = Workflow(folder, None)
    try:
        for what, names in (("a job that trains", TRAINING), ("a job that evaluates", EVALUATING)):
            code = f"import importlib, time; [importlib.import_module(name) for name in {names}]; "
            code += "print(time.process_time())"

            def forked(code: str = code) -> float:
                # The job is a child of the server; what was started here is the process that asks for it.
                asking, output = _children(lambda: workflow.run(code)[1])
                return asking + float(output)

            def alone(code: str = code) -> float:
                return _children(lambda: workflow.alone(code)[1])[0]

            yield in_turn(f"start of {what}", forked, alone, repeats, 1)
    finally:
        workflow.end()


def _children(run: Callable[[], str]) -> tuple[float, str]:
    """Return the processor time of the processes that a function starts and waits for (s), and what it returns."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output = run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, output


def steps(setting: Setting, repeats: int) -> Comparison:
    """Time an epoch of the first phase, from the stored images on; without validation and what follows the epoch."""
    training = setting.training()
    files = training_files(setting)
    batch = training.spec["phase"]["batch_size"]

    def ours() -> float:
        with timed_epoch() as spent:
            train.run(training)
        training.state.unlink()
        return spent[0]

    def theirs() -> float:
        distillation = published(setting)
        start = time.process_time()
        distillation.epoch(files, batch)
        return time.process_time() - start

    return in_turn("training step of the Entropic Student", ours, theirs, repeats, len(files) // batch)


def training_files(setting: Setting) -> Files:
    """Return the training images as files, moved at random as in the job."""
    training = setting.training()
    store = SampleStore(training.input("index"), training.input("train"), "train")
    augment = Augmentation.model_validate(training.spec["augment"])
    spec = InputSpec.model_validate(training.spec["input"])
    return files_of(store, setting.folder / "files" / "train", transform_of(spec, augment.shift_px))


def published(setting: Setting) -> Distillation:
    """Return the published way to train, from the weights that the job starts from."""
    training = setting.training()
    arch, phase = StudentArch.model_validate(training.spec["arch"]), training.spec["phase"]
    teacher = setting.teacher_checkpoint().untrained()
    teacher.load_state_dict(setting.teacher_checkpoint().state)
    student = Student(arch, teacher, recipe_of(training).model.state_dict())
    rates = phase["lr"], phase["quantiles_lr"]
    return Distillation(student, teacher.requires_grad_(False), arch, AXIS.parse(training.keys["point"]), rates)


@contextmanager
def timed_epoch() -> Iterator[list[float]]:
    """Append the processor time (s) from the start of a training to the end of its first epoch's steps to a list."""
    spent: list[float] = []
    original = driver.training_batches

    def timed(*arguments: Any) -> tuple[Batches, int]:
        began = time.process_time()
        batches, count = original(*arguments)

        def epochs(epoch: int, start: int = 0) -> Iterator[Any]:
            yield from batches(epoch, start)
            spent.append(time.process_time() - began)

        return epochs, count

    with mock.patch.object(driver, "training_batches", timed):
        yield spent


def evaluations(setting: Setting, repeats: int) -> Comparison:
    """Time the evaluation of what the training has made, which must have run."""
    evaluation = setting.evaluation()
    student, files = trained(setting), files_to_test(setting)

    def ours() -> float:
        start = time.process_time()
        evaluate.run(evaluation)
        return time.process_time() - start

    def theirs() -> float:
        start = time.process_time()
        evaluate_published(student, files)
        return time.process_time() - start

    return in_turn("evaluation of an image", ours, theirs, repeats, len(files))


def trained(setting: Setting) -> Student:
    """Return the published network with the weights that the job has trained."""
    training = setting.training()
    teacher = setting.teacher_checkpoint().untrained()
    state = load_phase(training.outputs["checkpoint"], training.keys["method"])
    return Student(StudentArch.model_validate(training.spec["arch"]), teacher, state).eval()


def files_to_test(setting: Setting) -> Files:
    """Return the test images as files."""
    training = setting.training()
    store = SampleStore(training.input("index"), setting.data["test"], "test")
    spec = InputSpec.model_validate(training.spec["input"])
    return files_of(store, setting.folder / "files" / "test", transform_of(spec))
