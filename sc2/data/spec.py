"""What a configuration says of images on their way into a network. No torch."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from sc2.strict import Positive, Strict

Interpolation = Literal["nearest", "bilinear", "bicubic"]
"""Names of resampling filters."""


class PixelSpec(Strict):
    """How 8-bit pixels become numbers: (x / 255 - mean) / std. Nothing of sizes: tasks may share a device half."""

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
        description="With fit: whole, long side after resizing at most, pixels; the short side then gets shorter than "
        "resize. Not limited by default",
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

    @property
    def square(self) -> int | None:
        """Side of the centre square that is kept, pixels; None where the whole image is."""
        return self.crop if self.fit == "crop" else None


class InputSpec(SizeSpec, PixelSpec):
    """How an image becomes the network's input, on the device and on the server alike."""

    @property
    def pixels(self) -> PixelSpec:
        """What the device needs of it to turn pixels into numbers."""
        return PixelSpec(mean=self.mean, std=self.std)


class Augmentation(Strict):
    """Random changes to training images; none by default."""

    flip: bool = Field(default=False, description="Mirror left-right with probability ½")
    shift_px: int = Field(default=0, ge=0, description="Shift by up to so many pixels each way, edges mirrored")
