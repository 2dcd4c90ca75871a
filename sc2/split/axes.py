"""The axes that operating points lie on: how a point is written, read and shown. No torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

N = TypeVar("N", int, float)
P = TypeVar("P")


@dataclass(frozen=True)
class RateAxis(Generic[N]):
    """A number that moves a method along its rate-quality curve.

    Attributes:
        name: Its name in the field, e.g. `beta`, `quality`.
        symbol: What is written before a value, verbatim: `q=` turns 30 into `q=30`, `QP ` into `QP 30`. Inside a
            `Grid` it is part of the operating point, e.g. `k` in `k64`.
        low: Smallest allowed value.
        high: Largest allowed value.
        number: `int` where only integers are allowed, else `float`.
    """

    name: str
    symbol: str
    low: float
    high: float
    number: type[N]

    @property
    def integer(self) -> bool:
        """Whether only integers are allowed."""
        return self.number is int

    def parse(self, point: str) -> N:
        """Return the value of an allowed point."""
        return self.number(point)

    def problem(self, point: str) -> str | None:
        """Say what is wrong with an operating point, or return None when it is allowed."""
        if not _NUMBER.fullmatch(point):
            return f"{self.name} must be a plain number, e.g. 0.16"
        if self.integer and not point.isdigit():
            return f"{self.name} must be a whole number"
        if not self.low <= float(point) <= self.high:
            return f"{self.name} must lie between {self.low:g} and {self.high:g}"
        return None


@dataclass(frozen=True)
class Choice:
    """One word of a fixed list, e.g. which labels a corner of the trade-off sends.

    Attributes:
        name: Name of the choice, e.g. `label`.
        values: The allowed words.
    """

    name: str
    values: tuple[str, ...]
    symbol: ClassVar[str] = ""

    def parse(self, point: str) -> str:
        """Return the word."""
        return point

    def problem(self, point: str) -> str | None:
        """Say what is wrong with an operating point, or return None when it is allowed."""
        return None if point in self.values else f"{self.name} must be one of: {', '.join(self.values)}"

    @property
    def pattern(self) -> str:
        """The form of a point, for messages."""
        return " | ".join(self.values)


@dataclass(frozen=True)
class Cut:
    """A place in the teacher: a stage, one of its blocks, or `avgpool`; which of them exist depends on the network."""

    name: str = "cut"
    symbol: ClassVar[str] = ""

    def parse(self, point: str) -> str:
        """Return the cut."""
        return point

    def problem(self, point: str) -> str | None:
        """Say what is wrong with an operating point, or return None when it is allowed."""
        if _CUT.fullmatch(point):
            return None
        return f"{self.name} must be stem, layer1 … layer4, a block such as layer4.0, or avgpool"

    @property
    def pattern(self) -> str:
        """The form of a point, for messages."""
        return f"<{self.name}>"


@dataclass(frozen=True)
class Grid(Generic[P]):
    """Several values that together form one operating point, e.g. `layer3_q1_s2_k64`.

    Attributes:
        name: Name of the whole axis in tables.
        parts: The parts, joined by underscores in a point; a number follows its symbol.
        make: Builds the point from the parts' values, passed as keyword arguments by the parts' names.
    """

    name: str
    parts: tuple[Part, ...]
    make: Callable[..., P]
    symbol: ClassVar[str] = ""

    def problem(self, point: str) -> str | None:
        """Say what is wrong with an operating point, or return None when it is allowed."""
        words = point.split("_")
        if len(words) != len(self.parts):
            return f"an operating point has {len(self.parts)} parts joined by underscores: {self.pattern}"
        for part, word in zip(self.parts, words, strict=True):
            value = self._value(part, word)
            problem = f"{part.name} must begin with {part.symbol}" if value is None else part.problem(value)
            if problem:
                return f"{problem} (in {self.pattern})"
        return None

    def parse(self, point: str) -> P:
        """Return the value that `make` builds from the parts of an allowed point."""
        words = zip(self.parts, point.split("_"), strict=True)
        return self.make(**{part.name: part.parse(word.removeprefix(part.symbol)) for part, word in words})

    @property
    def pattern(self) -> str:
        """The form of a point, e.g. `<cut>_<beta>`."""
        return "_".join(f"{part.symbol}<{part.name}>" for part in self.parts)

    @staticmethod
    def _value(part: Part, word: str) -> str | None:
        return word.removeprefix(part.symbol) if word.startswith(part.symbol) else None


Part = RateAxis[Any] | Choice | Cut
Axis = Part | Grid[Any]
_NUMBER = re.compile(r"[0-9]+([.][0-9]+)?(e-?[0-9]+)?")
_CUT = re.compile(r"stem|layer[1-4]([.][0-9]+)?|avgpool")
