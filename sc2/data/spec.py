"""How a configuration describes the preparation of images for a network. No torch."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from sc2.strict import Positive, Strict

Interpolation = Literal["nearest", "bilinear", "bicubic"]
"""Names of resampling filters."""


class PixelSpec(Strict):
    """How 8-bit pixels become numbers: (x / 255 - mean) / std. Without sizes, so that tasks can share a device half."""

    mean: tuple[float, float, float] = Field(description="Mean subtracted from RGB in [0, 1]")
    std: tuple[Positive, Positive, Positive] = Field(description="Divisor after the mean was subtracted")


class SizeSpec(Strict):
    """How an image of any size is brought to the size of the network's input."""

    fit: Literal["crop", "whole"] = Field(
        default="crop",
        description="crop: the centre square of the image; whole: the whole image with its aspect ratio kept, padded "
        "with zeros on the right and at the bottom",
    )
    resize: int = Field(gt=0, description="Short side after resizing, pixels")
    longest: int | None = Field(
        default=None,
        gt=0,
        description="With fit: whole, largest long side after resizing, pixels; the short side may then be shorter "
        "than resize. Not limited by default",
    )
    multiple: int = Field(
        default=1, gt=0, description="With fit: whole, both sides are padded to a multiple of this, pixels"
    )
    crop: int | None = Field(
        default=None, gt=0, validate_default=True, description="Side of the centre crop, pixels; only with fit: crop"
    )
    interpolation: Interpolation = Field(default="bilinear", description="Resampling filter")

    @field_validator("crop")
    @classmethod
    def _inside(cls, crop: int | None, info: ValidationInfo) -> int | None:
        if info.data.get("fit") == "whole":
            if crop is not None:
                raise ValueError("crop belongs to fit: crop; remove it, or set it to null if it is inherited")
        elif crop is None and "fit" in info.data:
            raise PydanticCustomError("missing", "Field required")
        elif crop is not None and crop > info.data.get("resize", crop):
            raise ValueError(f"crop must be at most resize, which is {info.data['resize']}")
        return crop

    @field_validator("longest")
    @classmethod
    def _at_least_resize(cls, longest: int | None, info: ValidationInfo) -> int | None:
        if longest is not None and info.data.get("fit") == "crop":
            raise ValueError("longest belongs to fit: whole; remove it")
        if longest is not None and longest < info.data.get("resize", longest):
            raise ValueError(f"longest must be at least resize, which is {info.data['resize']}")
        return longest

    @field_validator("multiple")
    @classmethod
    def _of_whole(cls, multiple: int, info: ValidationInfo) -> int:
        if multiple != 1 and info.data.get("fit") == "crop":
            raise ValueError("multiple belongs to fit: whole; remove it, crop sets the size")
        return multiple

    @property
    def square(self) -> int | None:
        """Side of the centre square that is kept, pixels; None if the whole image is kept."""
        return self.crop if self.fit == "crop" else None


class InputSpec(SizeSpec, PixelSpec):
    """How an image becomes the network's input, on the device and on the server alike."""

    @property
    def pixels(self) -> PixelSpec:
        """The part that the device needs to turn pixels into numbers."""
        return PixelSpec(mean=self.mean, std=self.std)


class Augmentation(Strict):
    """Random changes to training images; none by default."""

    flip: bool = Field(default=False, description="Mirror left-right with probability ½")
    shift_px: int = Field(default=0, ge=0, description="Shift by up to this many pixels each way, edges mirrored")
