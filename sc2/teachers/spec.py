"""Configuration of a teacher: trained here, or fetched. No torch."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from sc2.backbones.spec import BackboneSpec
from sc2.strict import Name, Strict
from sc2.training.spec import SupervisedTraining


class TeacherTraining(SupervisedTraining):
    """Schedule of a teacher trained here."""

    body_lr_factor: float = Field(
        default=1.0,
        ge=0,
        description="Factor on the learning rate of everything before the head, e.g. below 1 for a pre-trained body; "
        "0 keeps the body and its batch norms' statistics as they are, and takes less than half the time",
    )


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")]


class PublishedWeights(Strict):
    """Published weights of a classifier; a teacher that is trained here may start from its body."""

    source: Literal["file", "package", "torchvision", "timm"] = Field(
        description="file: a state dict in the data folder (SC2_DATA, default data/); package: one inside an installed "
        "Python package, which is not imported; torchvision, timm: by name"
    )
    weights: str = Field(
        description="File name, path inside the package (package/folder/file), torchvision weights (e.g. "
        "IMAGENET1K_V1) or timm tag"
    )
    sha256: Sha256 | None = Field(
        description="SHA-256 of the file, or of the state dict file that the library downloads, or its first digits, "
        "as torchvision has them in the names of files. null where it is not "
        "known yet: then no teacher is made, and the error message shows the hash of the file"
    )


class TrainedTeacher(Strict):
    """A teacher trained by the rule `train_teacher`."""

    source: Literal["train"]
    backbone: BackboneSpec
    head: dict[str, Any] = Field(
        default={},
        description="The head after the body: fields of `Head` in sc2/tasks/<task>.py; classification has none",
    )
    body_from: Name | None = Field(
        default=None,
        description="Start from the body of this benchmark's teacher of the same seed; it must be in the run file",
    )
    body_weights: PublishedWeights | None = Field(
        default=None, description="Start from the body of a published classifier"
    )
    training: TeacherTraining

    @field_validator("body_weights")
    @classmethod
    def _one_body(cls, body_weights: PublishedWeights | None, info: ValidationInfo) -> PublishedWeights | None:
        if body_weights is not None and info.data.get("body_from") is not None:
            raise ValueError("body_from already says where the body comes from: remove one of the two")
        return body_weights


class FetchedTeacher(PublishedWeights):
    """A teacher whose weights are downloaded or read by the rule `fetch_teacher`."""

    backbone: BackboneSpec
    head: dict[str, Any] = Field(
        default={}, description="The head after the body of a dense task: fields of `Head` in sc2/tasks/<task>.py"
    )
    class_indices: dict[str, int] | list[int] | None = Field(
        default=None,
        description="The output of the classifier for each class of the data set: by the class's name, or in the order "
        "of the classes, which are sorted by name; others are dropped. In a dense task, output 0 is the background "
        "and always kept. Default: all outputs in order",
    )


Teacher = Annotated[TrainedTeacher | FetchedTeacher, Field(discriminator="source")]
