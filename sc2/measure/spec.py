"""What a configuration says of measurements. No torch."""

from pydantic import Field

from sc2.strict import Strict


class LatencySpec(Strict):
    """How long the clock runs."""

    repeats: int = Field(default=100, gt=0, description="Timed repetitions per quantity; the median is reported")
    spread_pct: float = Field(
        default=5.0,
        gt=0,
        description="Half of the 95 % interval of a median that is small enough (% of it, for the same image): up to "
        "four times as many repetitions until it is, or else the machine counts as loaded",
    )
    budget_s: float = Field(
        default=2.0, gt=0, description="No repetition starts after this time per quantity (seconds)"
    )
    warmup: int = Field(default=3, ge=0, description="Repetitions before the clock starts")
    images: int = Field(default=16, gt=0, description="Test images that the repetitions cycle through")
