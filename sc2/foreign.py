"""Checks of values in files from outside: they are accepted as their format defines them, or refused, never converted.

Each check returns the value, or raises a ValueError whose message names the place in the file, the value, what it must
be and, if that is clear, the fix. The caller adds the name of the file.
"""

import math
import re
import unicodedata
from typing import Any

_LARGEST = 2**63 - 1
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)?([.][0-9]*)?([eE][-+]?[0-9]+)?")
_SHOWN = 60


def number(value: Any, place: str, *, low: float = -_LARGEST, high: float = _LARGEST) -> float:
    """Return a finite number in `low` … `high`.

    Raises:
        ValueError: It is text, a truth value, not finite, or out of range.
    """
    if isinstance(value, str):
        raise ValueError(f"{place} is the text {_shown(value)}; it must be a number: remove the quotes")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{place} is {_shown(value)}; it must be a number")
    if not math.isfinite(value) if isinstance(value, float) else abs(value) > _LARGEST:
        raise ValueError(f"{place} is {_shown(value)}; it must be a finite number")
    if not low <= value <= high:
        raise ValueError(f"{place} is {_shown(value)}; it must be {_range(low, high)}")
    return float(value)


def whole(value: Any, place: str, *, low: int = 0, high: int = _LARGEST) -> int:
    """Return a whole number in `low` … `high`; `3.0` counts, because JSON has only one kind of number.

    Raises:
        ValueError: As for `number`, or it has a fraction.
    """
    checked = number(value, place, low=low, high=high)
    if checked != int(checked):
        raise ValueError(f"{place} is {_shown(value)}; it must be a whole number")
    return int(value)


def flag(value: Any, place: str) -> bool:
    """Return whether a flag is set, which is 0, 1, false or true.

    Raises:
        ValueError: It is anything else, such as `"0"` or `"yes"`.
    """
    if isinstance(value, str) or value not in (0, 1):
        raise ValueError(f"{place} is {_shown(value)}; it must be 0 or 1, without quotes")
    return bool(value)


def text(value: Any, place: str) -> str:
    """Return text that can be written to any file or terminal: UTF-8 without control characters.

    Raises:
        ValueError: It is not text, empty, not UTF-8, or has control characters.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"{place} is {_shown(value)}; it must be text")
    if value.isascii() and value.isprintable():  # nearly always, and checked much faster
        return value
    for character in value:
        category = unicodedata.category(character)
        if category == "Cs":
            raise ValueError(f"{place} {_shown(value)} is not UTF-8")
        if category == "Cc":
            raise ValueError(f"{place} {_shown(value)} contains the control character {character!r}")
    return value


def written_number(written: str | None, place: str, *, low: float = -_LARGEST, high: float = _LARGEST) -> float:
    """Return a number written as text, as in XML: decimal, without leading zeros, finite.

    Raises:
        ValueError: It is missing, not such a number, or out of range.
    """
    if written is None:
        raise ValueError(f"{place} is missing")
    spelt = written.strip()
    if not any(character.isdigit() for character in spelt) or not _DECIMAL.fullmatch(spelt):
        raise ValueError(f"{place} is {_shown(written)}; it must be a decimal number, such as 17 or 0.5")
    return number(float(spelt), place, low=low, high=high)


def written_flag(written: str | None, place: str) -> bool:
    """Return whether a flag written as text is set: true for `1`, false for `0` and for missing or empty text.

    Raises:
        ValueError: It is anything else.
    """
    spelt = (written or "").strip()
    if spelt not in ("", "0", "1"):
        raise ValueError(f"{place} is {_shown(written)}; it must be 0 or 1")
    return spelt == "1"


def _range(low: float, high: float) -> str:
    if high == _LARGEST:
        return f"at least {low:g}"
    return f"from {low:g} to {high:g}"


def _shown(value: Any) -> str:
    try:
        shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    except ValueError:  # Python does not print integers of thousands of digits
        return "a number of thousands of digits"
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
