"""What publications say, as `config/published/` holds it: numbers, and orderings of methods. No torch."""

from typing import Literal

from pydantic import Field

from sc2.strict import Name, Strict


class PublishedNumber(Strict):
    """A number of a publication, a row of `config/published/*.csv`."""

    benchmark: str = Field(description="The benchmark here that it is of; empty where there is none")
    setting: str = Field(min_length=1, description="Data set and network in words")
    method: str = Field(description="The method here that it is of; empty where there is none")
    work: str = Field(min_length=1, description="What it is of in words")
    curve: str = Field(description="The curve of a method with several, as the method names it")
    point: str = Field(description="Operating point; empty where the publication does not tell")
    place: int | None = Field(
        ge=1, description="Place on a published curve, from the lowest rate: a rate and a quality share it"
    )
    quantity: str = Field(pattern=r"^[a-z0-9_.]+$", description="What the number says, named like our columns")
    value: float = Field(description="The number")
    unit: str = Field(min_length=1, description="Its unit")
    tolerance: str = Field(
        pattern=r"^[0-9]+([.][0-9]+)?( %)?$", description="How far it may be off, in its unit, or in percent of it"
    )
    reading: Literal["read", "figure", "computed", "measured", "memory"] = Field(
        description="read in text, code or logs; read off a figure; computed from other numbers; measured by running "
        "the published package; from memory, unchecked"
    )
    source: str = Field(min_length=1, description="Where it stands")

    @property
    def margin(self) -> float:
        """The tolerance in the number's own unit."""
        number, _, relative = self.tolerance.partition(" ")
        return abs(self.value) * float(number) / 100 if relative else float(number)


RATES = ("sc2bench_kb", "bpp")
"""The quantities of a published curve's rate: KB of 1024 bytes by upstream's rule, bits per pixel of the input."""


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
