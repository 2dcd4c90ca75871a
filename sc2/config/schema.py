"""The content of each configuration file: one pydantic model per kind of file. No torch.

Three kinds of file, all YAML: the run file (`config/config.yaml`, what to run), one file per benchmark
(`config/benchmarks/`), and one per data set and method (`config/datasets/`, `config/methods/`), whose fields are
declared beside the code that uses them (`sc2/data/<kind>.py`, `sc2/methods/<family>/<name>.py`).
"""

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sc2.data.spec import Augmentation, InputSpec
from sc2.foreign import text
from sc2.measure.spec import LatencySpec
from sc2.strict import LONGEST_NAME, MethodName, Name, Strict, text_matching
from sc2.tasks import task_names
from sc2.teachers.spec import Teacher
from sc2.training.arithmetic import Arithmetic

_SEED_DIGITS = 18
POINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(_[A-Za-z0-9][A-Za-z0-9.-]*)*")
NUMBER = re.compile(r"[0-9]+([.][0-9]+)?(e-?[0-9]+)?")


ANCHORS = ("bpg", "webp")
"""What curves are compared with where a benchmark does not say: the first of these that is run."""


def _point(value: str) -> str:
    if len(value) > LONGEST_NAME or not POINT.fullmatch(value):
        raise ValueError('an operating point is text in quotes, e.g. "0.16" or "layer3_q1" (it becomes a folder name)')
    return value


def _task(value: str) -> str:
    if value not in task_names():
        raise PydanticCustomError("literal_error", "unknown task", {"expected": ", ".join(map(repr, task_names()))})
    return value


def _title(value: str) -> str:
    return text(value.strip(), "a title")


Point = Annotated[str, AfterValidator(_point), text_matching(POINT)]
Title = Annotated[str, AfterValidator(_title)]
TaskName = Annotated[str, AfterValidator(_task), WithJsonSchema({"type": "string", "enum": task_names()})]


def _no_duplicates(values: list[str]) -> list[str]:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"listed twice: {', '.join(repeated)}; keep one of each")
    return values


def _no_equal_numbers(values: list[str]) -> list[str]:
    seen: dict[float, str] = {}
    for value in filter(NUMBER.fullmatch, values):
        other = seen.setdefault(float(value), value)
        if other != value:
            raise ValueError(f"{other} and {value} are the same number: keep one of them")
    return values


def _seed(value: str) -> str:
    if len(value) > _SEED_DIGITS:
        raise ValueError(f"a seed has at most {_SEED_DIGITS} digits")
    return value


Seeds = Annotated[
    list[Annotated[str, Field(pattern=r"^[0-9]+$"), AfterValidator(_seed)]],
    Field(min_length=1),
    AfterValidator(_no_duplicates),
    AfterValidator(_no_equal_numbers),
]


class Compute(Arithmetic):
    """How trainings are computed; `gpus` and `micro_batch` change their results by rounding only."""

    gpus: int = Field(
        default=1,
        ge=1,
        description="Processes that share each batch of a training, one per GPU (torchrun), or per core without GPUs",
    )
    micro_batch: int | None = Field(
        default=None,
        ge=1,
        description="Most images that a process computes at once; null, as without the key: a whole batch",
    )

    @model_validator(mode="after")
    def _whole_if_compiled(self) -> Self:
        if self.compile and (self.gpus > 1 or self.micro_batch is not None):
            raise ValueError("compile is for whole batches in one process: remove it, or gpus and micro_batch")
        return self


class RunConfig(Strict):
    """What to run (`config/config.yaml`)."""

    extends: Name | None = Field(
        default=None, description="Run file in the same folder, without .yaml, from which missing keys are inherited"
    )
    benchmarks: dict[Name, Annotated[list[MethodName], Field(min_length=1), AfterValidator(_no_duplicates)]] = Field(
        min_length=1, description="Benchmark (file in config/benchmarks/) → its methods, in the order of the tables"
    )
    seeds: Seeds = Field(
        default=["0"],
        description="Seeds of the methods' trainings, in quotes, where a benchmark lists none for a method; "
        "deterministic methods use the first",
    )
    max_seeds: int | None = Field(
        default=None,
        ge=1,
        description="Run at most so many seeds of each method, the first ones, whoever lists them; null, as without "
        "the key: all",
    )
    figures: list[Name] = Field(
        default=["rate_accuracy", "exrd", "three_way"],
        min_length=1,
        description="Figures per benchmark (files in sc2/report/figures/)",
    )
    compute: Compute = Field(default=Compute(), description="How trainings are computed")
    groups: dict[Name, Annotated[list[Name], Field(min_length=2), AfterValidator(_no_duplicates)]] = Field(
        default={},
        description="Name → benchmarks from the list above that are shown side by side; their common methods are "
        "compared by the cost of serving all their tasks",
    )

    _unique = field_validator("figures")(_no_duplicates)


class ChainParams(Strict):
    """What differs at all points of a chain that start from other weights: all but the first."""

    phases: dict[str, Any] = Field(default={}, description="Overrides of the parameters of training phases, key by key")


class Chain(Strict):
    """Every point's training but the first starts from the weights of the point before; the first one may, too."""

    first_from: MethodName | None = Field(
        default=None,
        description="Start the first point as well: from the weights of this method of the same family, on the same "
        "benchmark, at the same point and with the same seed; parts of the network that only this method has start "
        "afresh. `params` are then those of all points",
    )
    params: ChainParams = Field(
        default=ChainParams(),
        description="Parameters of all points that start from other weights, where they differ: `phases` only",
    )


class AtPoints(Strict):
    """Some operating points, and the phases of which they have other parameters."""

    points: list[Annotated[str, Field(min_length=1)]] = Field(
        min_length=1, description='Operating points, or patterns such as "layer3_*", as strings in quotes'
    )
    phases: dict[str, Any] = Field(description="Overrides of the parameters of training phases, key by key")


class MethodGrid(Strict):
    """One method on one benchmark: its operating points and where it differs from the method's defaults."""

    title: Title | None = Field(
        default=None,
        description="Its name for readers; needed, and only allowed, for a variant (`method.variant`), which has all "
        "other keys of the method's grid here where it does not say otherwise",
    )
    points: list[Point] = Field(
        default=[],
        min_length=1,
        description="Operating points, as strings in quotes; by default those of config/methods/<name>.yaml",
    )
    seeds: Seeds = Field(
        default=[], description="Seeds of its trainings here, in quotes; by default those of the run file"
    )
    encoder_from: Name | None = Field(
        default=None,
        description="Take encoder and entropy model from the run of the same method, point and seed on this benchmark, "
        "and freeze them (for a learned image codec, all of it); that benchmark must be in the run file",
    )
    params: dict[str, Any] = Field(default={}, description="Overrides of config/methods/<name>.yaml, key by key")
    at: list[AtPoints] = Field(
        default=[], description="Where the training of some points differs from that of the others: `points`, `phases`"
    )
    share_sweep: bool = Field(
        default=False,
        description="Train the points together: one job reads each batch and runs the teacher once for all of them, "
        "and holds the weights of all of them. The results are the same. Not together with `chain`",
    )
    chain: Chain | None = Field(
        default=None,
        description="Train the points one after another, in their order here: the first phase of each starts from the "
        "weights with which that of the point before has ended, with the same seed. For points that have weights of "
        "the same shapes; not together with `encoder_from`",
    )

    _unique = field_validator("points")(_no_duplicates)
    _different = field_validator("points")(_no_equal_numbers)


class ExamplesSpec(Strict):
    """Pictures of predictions at falling rates."""

    methods: list[MethodName] = Field(default=[], description="Methods to show, one figure each")
    images: int = Field(default=4, gt=0, description="Number of test images to show, the first ones of the split")

    _unique = field_validator("methods")(_no_duplicates)


class BenchmarkConfig(Strict):
    """Task × data set × teacher, and every method's grid on it (`config/benchmarks/<name>.yaml`)."""

    extends: Name | None = Field(default=None, description="Benchmark from which missing keys are inherited")
    title: Title = Field(description="Shown above the figures")
    task: TaskName = Field(
        description="What the networks predict: a class per image, boxes with classes, a class per pixel"
    )
    dataset: Name = Field(description="File in config/datasets/")
    input: InputSpec
    augment: Augmentation = Field(default=Augmentation(), description="Random changes of training images")
    teacher: Teacher
    latency: LatencySpec = LatencySpec()
    examples: ExamplesSpec = ExamplesSpec()
    anchors: list[MethodName] = Field(
        default=[],
        description="Methods that the curves are compared with (BD-rate): those of them that the run file runs here; "
        f"if it runs none, {' or '.join(ANCHORS)}, or else its first method",
    )
    _unique = field_validator("anchors")(_no_duplicates)
    methods: dict[MethodName, MethodGrid] = Field(
        min_length=1,
        description="Grids; the run file selects which of them to run. A method with points in its own file needs none",
    )

    @field_validator("augment")
    @classmethod
    def _fits_the_input(cls, augment: Augmentation, info: ValidationInfo) -> Augmentation:
        problem = augment.problem(info.data["input"]) if "input" in info.data else None
        if problem is not None:
            raise ValueError(problem)
        return augment


class MethodFile(Strict):
    """One method's defaults (`config/methods/<name>.yaml`)."""

    title: Title = Field(description="Shown in tables and legends")
    points: list[Point] = Field(
        default=[],
        min_length=1,
        description="Operating points on benchmarks that list none for the method, as strings in quotes",
    )
    params: dict[str, Any] = Field(default={}, description="Fields of the method's `Params` class")

    _unique = field_validator("points")(_no_duplicates)
    _different = field_validator("points")(_no_equal_numbers)
