"""What each configuration file may say: one pydantic model per kind of file, no torch.

Three kinds of file, all YAML: the run file (`config/config.yaml`, what to run), one file per benchmark
(`config/benchmarks/`), and one per data set and method (`config/datasets/`, `config/methods/`), whose fields are
declared beside the code that uses them (`sc2/data/<kind>.py`, `sc2/methods/<name>.py`).
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from sc2.strict import Strict

NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
POINT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(_[A-Za-z0-9][A-Za-z0-9.-]*)*")
NUMBER = re.compile(r"[0-9]+([.][0-9]+)?(e-?[0-9]+)?")


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("use lower case letters, digits and single underscores (it becomes a folder name)")
    return value


def _point(value: str) -> str:
    if not POINT.fullmatch(value):
        raise ValueError('an operating point is text in quotes, e.g. "0.16" or "layer3_q1" (it becomes a folder name)')
    return value


def _as_string(pattern: re.Pattern[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern.pattern}$"})


Name = Annotated[str, AfterValidator(_name), _as_string(NAME)]
Point = Annotated[str, AfterValidator(_point), _as_string(POINT)]
_Positive = Annotated[float, Field(gt=0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _no_duplicates(values: list[str]) -> list[str]:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise ValueError(f"listed twice: {', '.join(repeated)}")
    return values


def _no_equal_numbers(values: list[str]) -> list[str]:
    seen: dict[float, str] = {}
    for value in filter(NUMBER.fullmatch, values):
        other = seen.setdefault(float(value), value)
        if other != value:
            raise ValueError(f"{other} and {value} are the same number: keep one of them")
    return values


class RunConfig(Strict):
    """What to run (`config/config.yaml`)."""

    benchmarks: dict[Name, Annotated[list[Name], Field(min_length=1), AfterValidator(_no_duplicates)]] = Field(
        min_length=1, description="Benchmark (file in config/benchmarks/) → its methods, in the order of the tables"
    )
    seeds: list[Annotated[str, Field(pattern=r"^[0-9]+$")]] = Field(
        default=["0"],
        min_length=1,
        description="Seeds of the trainings, in quotes; deterministic methods use the first",
    )
    figures: list[Name] = Field(
        default=["rate_accuracy", "exrd", "three_way"],
        min_length=1,
        description="Figures per benchmark (files in sc2/report/figures/)",
    )

    groups: dict[Name, Annotated[list[Name], Field(min_length=2), AfterValidator(_no_duplicates)]] = Field(
        default={},
        description="Name → benchmarks, all of them above, that are shown side by side and whose common methods are "
        "compared in what serving all their tasks costs",
    )

    _unique = field_validator("seeds", "figures")(_no_duplicates)
    _different = field_validator("seeds")(_no_equal_numbers)


class InputSpec(Strict):
    """How an image becomes the network's input, on the device and on the server alike."""

    fit: Literal["crop", "whole"] = Field(
        default="crop",
        description="crop: the centre square of the image; whole: the whole image with its aspect ratio kept, padded "
        "with zeros on the right and at the bottom",
    )
    resize: int = Field(gt=0, description="Short side after resizing, pixels")
    longest: int | None = Field(
        default=None,
        gt=0,
        description="With fit: whole, long side after resizing at most, pixels; the short side then gets shorter than "
        "resize. Not limited by default",
    )
    multiple: int = Field(
        default=1, gt=0, description="With fit: whole, both sides are padded to a multiple of this, pixels"
    )
    crop: int | None = Field(
        default=None, gt=0, validate_default=True, description="Side of the centre crop, pixels; only with fit: crop"
    )
    interpolation: Literal["nearest", "bilinear", "bicubic"] = Field(
        default="bilinear", description="Resampling filter"
    )
    mean: tuple[float, float, float] = Field(description="Mean subtracted from RGB in [0, 1]")
    std: tuple[_Positive, _Positive, _Positive] = Field(description="Divisor after the mean was subtracted")

    @field_validator("crop")
    @classmethod
    def _inside(cls, crop: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("fit") == "whole":
            if crop is not None:
                raise ValueError("crop belongs to fit: crop; take it out, or write null where it is inherited")
        elif crop is None and "fit" in info.data:
            raise PydanticCustomError("missing", "Field required")
        elif crop is not None and crop > info.data.get("resize", crop):
            raise ValueError(f"crop must be at most resize, which is {info.data['resize']}")
        return crop

    @field_validator("longest")
    @classmethod
    def _at_least_resize(cls, longest: int | None, info: ValidationInfo) -> int | None:
        if longest is not None and info.data.get("fit") == "crop":
            raise ValueError("longest belongs to fit: whole; take it out")
        if longest is not None and longest < info.data.get("resize", longest):
            raise ValueError(f"longest must be at least resize, which is {info.data['resize']}")
        return longest

    @field_validator("multiple")
    @classmethod
    def _of_whole(cls, multiple: int, info: ValidationInfo) -> int:
        if multiple != 1 and info.data.get("fit") == "crop":
            raise ValueError("multiple belongs to fit: whole; take it out, the size is that of crop")
        return multiple


class Augmentation(Strict):
    """Random changes to training images; none by default."""

    flip: bool = Field(default=False, description="Mirror left-right with probability ½")
    shift_px: int = Field(default=0, ge=0, description="Shift by up to so many pixels each way, edges mirrored")


class BackboneSpec(Strict):
    """A network of `sc2/backbones/` and its arguments."""

    name: Name = Field(description="File in sc2/backbones/")
    args: dict[str, Any] = Field(default={}, description="Keyword arguments of the network's build function")


class TeacherTraining(Strict):
    """Schedule of a teacher trained here."""

    epochs: int = Field(gt=0, description="Passes over the training split")
    batch_size: int = Field(gt=0, description="Images per step")
    lr: float = Field(gt=0, description="Peak learning rate of the one-cycle schedule (SGD, Nesterov momentum 0.9)")
    body_lr_factor: float = Field(
        default=1.0,
        ge=0,
        description="Factor on the learning rate of all before the head: below 1 for a given body with frozen "
        "batch norms; 0: it stays as it is",
    )
    weight_decay: float = Field(default=5e-4, ge=0, description="Weight decay")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Label smoothing of the cross entropy; 0 in detection"
    )


class PublishedBody(Strict):
    """Published weights of a classifier, whose body a teacher's training starts from."""

    source: Literal["file", "torchvision", "timm"] = Field(description="As for a teacher that is fetched")
    weights: str = Field(description="File name, torchvision weights (e.g. IMAGENET1K_V1) or timm tag")
    sha256: Sha256 | None = Field(description="SHA-256 of the file; null where it is not known yet")


class TrainedTeacher(Strict):
    """A teacher trained by the rule `train_teacher`."""

    source: Literal["train"]
    backbone: BackboneSpec
    head: dict[str, Any] = Field(
        default={},
        description="What follows the body: fields of `Head` in sc2/tasks/<task>.py; classification has none",
    )
    body_from: Name | None = Field(
        default=None, description="Start with the body of this benchmark's teacher; it must be in the run file"
    )
    body_weights: PublishedBody | None = Field(
        default=None, description="Start with the body of a published classifier"
    )
    training: TeacherTraining

    @field_validator("body_weights")
    @classmethod
    def _one_body(cls, body_weights: PublishedBody | None, info: ValidationInfo) -> PublishedBody | None:
        if body_weights is not None and info.data.get("body_from") is not None:
            raise ValueError("body_from says where the body comes from: take one of the two out")
        return body_weights


class FetchedTeacher(Strict):
    """A teacher whose weights are downloaded or read by the rule `fetch_teacher`."""

    source: Literal["file", "torchvision", "timm"] = Field(
        description="file: a state dict in the data folder (SC2_DATA, default data/); torchvision, timm: by name"
    )
    backbone: BackboneSpec
    weights: str = Field(description="File name, torchvision weights (e.g. IMAGENET1K_V1) or timm tag")
    sha256: Sha256 | None = Field(
        description="SHA-256 of the file, or of the state dict file that the library downloads. null where it is not "
        "known yet: no teacher is made then, and the message says the hash of the file that is there"
    )
    class_indices: list[int] | None = Field(
        default=None, description="Keep only these outputs of the classifier, in this order (a subset of its classes)"
    )


Teacher = Annotated[TrainedTeacher | FetchedTeacher, Field(discriminator="source")]


class MethodGrid(Strict):
    """One method on one benchmark: its operating points and what differs from the method's own defaults."""

    points: list[Point] = Field(min_length=1, description="Operating points, as strings in quotes")
    encoder_from: Name | None = Field(
        default=None,
        description="Take encoder and entropy model from the run of the same method, point and seed on this benchmark, "
        "and freeze them (a learned image codec: all of it); it must be in the run file",
    )
    params: dict[str, Any] = Field(default={}, description="Overrides of config/methods/<name>.yaml, key by key")

    _unique = field_validator("points")(_no_duplicates)
    _different = field_validator("points")(_no_equal_numbers)


class LatencySpec(Strict):
    """How long the clock runs."""

    repeats: int = Field(default=30, gt=0, description="Timed repetitions per quantity; the median is reported")
    warmup: int = Field(default=3, ge=0, description="Repetitions before the clock starts")
    images: int = Field(default=8, gt=0, description="Test images that the repetitions cycle through")


class ExamplesSpec(Strict):
    """Pictures of answers at falling rates."""

    methods: list[Name] = Field(default=[], description="Methods to show, a figure each")
    images: int = Field(default=4, gt=0, description="Test images to show, the first ones of the split")

    _unique = field_validator("methods")(_no_duplicates)


class BenchmarkConfig(Strict):
    """Task × data set × teacher, and every method's grid on it (`config/benchmarks/<name>.yaml`)."""

    extends: Name | None = Field(default=None, description="Benchmark whose keys are taken where this file has none")
    title: str = Field(description="Shown above the figures")
    task: Literal["classification", "detection", "segmentation"] = Field(
        description="What the networks answer: a class per image, boxes with classes, a class per pixel"
    )
    dataset: Name = Field(description="File in config/datasets/")
    input: InputSpec
    augment: Augmentation = Augmentation()
    teacher: Teacher
    latency: LatencySpec = LatencySpec()
    examples: ExamplesSpec = ExamplesSpec()
    methods: dict[Name, MethodGrid] = Field(min_length=1, description="Grids; the run file says which of them to run")


class MethodFile(Strict):
    """One method's defaults (`config/methods/<name>.yaml`)."""

    title: str = Field(description="Shown in tables and legends")
    params: dict[str, Any] = Field(default={}, description="Fields of the method's `Params` class")


__all__ = [
    "Augmentation",
    "BackboneSpec",
    "BenchmarkConfig",
    "ExamplesSpec",
    "FetchedTeacher",
    "InputSpec",
    "LatencySpec",
    "MethodFile",
    "MethodGrid",
    "PublishedBody",
    "RunConfig",
    "TrainedTeacher",
]
