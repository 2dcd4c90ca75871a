"""What a configuration says of measurements. No torch."""

from pydantic import Field

from sc2.strict import Strict


class LatencySpec(Strict):
    """How long the clock runs."""

    repeats: int = Field(default=30, gt=0, description="Timed repetitions per quantity; the median is reported")
    warmup: int = Field(default=3, ge=0, description="Repetitions before the clock starts")
    images: int = Field(default=8, gt=0, description="Test images that the repetitions cycle through")
