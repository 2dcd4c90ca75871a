"""One column of a table: its name, kind and decimals, and how a value is written."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from sc2.errors import DataError

Kind = Literal["text", "flag", "int", "float"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: Key in the measurement file and header in the CSV.
        kind: What the values are.
        decimals: Digits after the point of a float; fixed, so that equal inputs give equal bytes.
        nullable: Whether null is a value here (an empty field in the CSV), and so is an empty text.
    """

    name: str
    kind: Kind
    decimals: int = 0
    nullable: bool = False

    def format(self, value: Any) -> str:
        """Return the text of `value` in the CSV.

        Raises:
            DataError: The value is not of this column's kind; the message says what was expected.
        """
        if value is None and self.nullable:
            return ""
        match self.kind:
            case "text" if isinstance(value, str) and (value or self.nullable):
                return value
            case "flag" if isinstance(value, bool):
                return "true" if value else "false"
            case "int" if _is_number(value) and float(value).is_integer():
                return str(int(value))
            case "float" if _is_number(value):
                # Adding zero turns a rounded -0.0 into 0.0.
                return f"{round(float(value), self.decimals) + 0.0:.{self.decimals}f}"
        raise DataError(f"key '{self.name}' is {value!r}, but must be {_EXPECTED[self.kind]}")


_EXPECTED: dict[Kind, str] = {
    "text": "a non-empty string",
    "flag": "true or false",
    "int": "a whole number",
    "float": "a finite number",
}


def _is_number(value: Any) -> bool:
    """Tell whether `value` is a finite number; JSON's true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def text(*names: str, nullable: bool = False) -> tuple[Column, ...]:
    """Return columns of text; a text may be empty where they are nullable."""
    return tuple(Column(name, "text", 0, nullable) for name in names)


def ints(*names: str) -> tuple[Column, ...]:
    """Return columns of whole numbers."""
    return tuple(Column(name, "int") for name in names)


def floats(decimals: int, *names: str, nullable: bool = False) -> tuple[Column, ...]:
    """Return columns of numbers with some decimals; nullable ones may be empty."""
    return tuple(Column(name, "float", decimals, nullable) for name in names)


def ends(decimals: int, *names: str) -> tuple[Column, ...]:
    """Return the columns of the ends of some numbers' intervals; empty where there is no interval."""
    return floats(decimals, *(f"{name}_{end}" for name in names for end in ("low", "high")), nullable=True)
