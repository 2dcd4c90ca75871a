"""What a configuration says of a teacher: trained here, or fetched. No torch."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from sc2.backbones.spec import BackboneSpec
from sc2.strict import Name, Sha256, Strict
from sc2.training.spec import SupervisedTraining


class TeacherTraining(SupervisedTraining):
    """Schedule of a teacher trained here."""

    body_lr_factor: float = Field(
        default=1.0,
        ge=0,
        description="Factor on the learning rate of all before the head: below 1 for a given body with frozen "
        "batch norms; 0: it stays as it is",
    )


class PublishedWeights(Strict):
    """Published weights of a classifier; the body of a teacher that is trained here may start from them."""

    source: Literal["file", "torchvision", "timm"] = Field(
        description="file: a state dict in the data folder (SC2_DATA, default data/); torchvision, timm: by name"
    )
    weights: str = Field(description="File name, torchvision weights (e.g. IMAGENET1K_V1) or timm tag")
    sha256: Sha256 | None = Field(
        description="SHA-256 of the file, or of the state dict file that the library downloads. null where it is not "
        "known yet: no teacher is made then, and the message says the hash of the file that is there"
    )


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
    body_weights: PublishedWeights | None = Field(
        default=None, description="Start with the body of a published classifier"
    )
    training: TeacherTraining

    @field_validator("body_weights")
    @classmethod
    def _one_body(cls, body_weights: PublishedWeights | None, info: ValidationInfo) -> PublishedWeights | None:
        if body_weights is not None and info.data.get("body_from") is not None:
            raise ValueError("body_from says where the body comes from: take one of the two out")
        return body_weights


class FetchedTeacher(PublishedWeights):
    """A teacher whose weights are downloaded or read by the rule `fetch_teacher`."""

    backbone: BackboneSpec
    class_indices: list[int] | None = Field(
        default=None, description="Keep only these outputs of the classifier, in this order (a subset of its classes)"
    )


Teacher = Annotated[TrainedTeacher | FetchedTeacher, Field(discriminator="source")]
