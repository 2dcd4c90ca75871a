"""How a configuration describes the preparation of images for a network. No torch."""

from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from sc2.strict import Positive, Strict

Number = TypeVar("Number", int, float)
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


class ResizedCrop(Strict):
    """A random part of the image, resized to the network's square input (docs/papers.md#datasets)."""

    area: tuple[Positive, Positive] = Field(
        default=(0.08, 1.0), description="Least and largest area of the part, as a fraction of the image's"
    )
    aspect: tuple[Positive, Positive] = Field(
        default=(0.75, 4 / 3), description="Least and largest width of the part as a multiple of its height"
    )

    @field_validator("area", "aspect")
    @classmethod
    def _in_order(cls, bounds: tuple[float, float]) -> tuple[float, float]:
        return _ordered(bounds)

    @field_validator("area")
    @classmethod
    def _a_part(cls, area: tuple[float, float]) -> tuple[float, float]:
        if area[1] > 1:
            raise ValueError("a part must not be larger than the image: use at most 1")
        return area


class ScaledCrop(Strict):
    """The image at a random size, of which a random square is kept (docs/papers.md#datasets)."""

    short_side: tuple[Annotated[int, Field(gt=0)], Annotated[int, Field(gt=0)]] = Field(
        description="Least and largest short side of the resized image, pixels"
    )
    side: int = Field(
        gt=0,
        description="Side of the square, pixels; where the image is smaller, padding on the right and at the bottom, "
        "which no loss counts",
    )

    @field_validator("short_side")
    @classmethod
    def _in_order(cls, bounds: tuple[int, int]) -> tuple[int, int]:
        return _ordered(bounds)


def _ordered(bounds: tuple[Number, Number]) -> tuple[Number, Number]:
    if bounds[0] > bounds[1]:
        raise ValueError("the least must come before the largest: write the smaller number first")
    return bounds


class Augmentation(Strict):
    """Random changes to training images; none by default."""

    flip: bool = Field(default=False, description="Mirror left-right with probability ½")
    shift_px: int = Field(default=0, ge=0, description="Shift by up to this many pixels each way, edges mirrored")
    resized_crop: ResizedCrop | None = Field(
        default=None,
        description="A random part of the image, resized to `input.crop`, instead of its centre; with input.fit: crop",
    )
    scaled_crop: ScaledCrop | None = Field(
        default=None,
        description="A random square of the image at a random size, instead of the whole image; with input.fit: whole",
    )

    def problem(self, spec: SizeSpec) -> str | None:
        """Say which of the crops an input cannot have, or return None."""
        wanted = [name for name in ("resized_crop", "scaled_crop") if getattr(self, name) is not None]
        allowed = "scaled_crop" if spec.square is None else "resized_crop"
        wrong = [name for name in wanted if name != allowed]
        if not wrong:
            return None
        return f"{wrong[0]} does not go with input.fit: {spec.fit}; use {allowed} there, or remove it"
