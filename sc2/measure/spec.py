"""What a configuration says of measurements. No torch."""

from typing import Literal

from pydantic import Field

from sc2.strict import Name, Strict


class LatencySpec(Strict):
    """How long the clock runs."""

    repeats: int = Field(default=100, gt=0, description="Timed repetitions per quantity; the median is reported")
    budget_s: float = Field(
        default=2.0, gt=0, description="No repetition starts after this time per quantity (seconds)"
    )
    warmup: int = Field(default=3, ge=0, description="Repetitions before the clock starts")
    images: int = Field(default=8, gt=0, description="Test images that the repetitions cycle through")


class Ordering(Strict):
    """What a publication says of two methods, and how to tell whether it holds."""

    claim: str = Field(min_length=1, description="The ordering in words")
    method: Name = Field(description="The method that it is about")
    other: Name = Field(description="The method that it is compared with, or `teacher` (for best_quality)")
    metric: Literal["bytes", "bytes_near_teacher", "best_quality", "encoder_kb", "encoder_macs"] = Field(
        description="What is compared: bytes over the shared qualities, bytes at two points below the teacher (both in "
        "percent of the other's), the best point's quality (points), the smallest encoder (percent of the other's)"
    )
    expected: Literal["less", "more"] = Field(
        description="Whether the difference is published as below or above `than`"
    )
    than: float = Field(default=0.0, ge=-100, description="Threshold of the difference, percent or points")
    source: str = Field(min_length=1, description="Anchor in docs/papers.md that has the numbers")
    tasks: list[Name] = Field(default=[], description="Tasks that it is published for; all by default")
