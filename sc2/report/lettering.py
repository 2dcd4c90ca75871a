"""The letters of figures: which fonts, how text is broken into lines, and what is said where no font has a letter.

Titles, names of methods and names of classes come from outside and may hold anything. They are shown as they are:
`PLAIN` turns off the formulas that matplotlib otherwise reads between two dollar signs.
"""

import re
import sys
import textwrap
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib import font_manager

PLAIN: dict[str, Any] = {"text.parse_math": False}
"""Settings of matplotlib under which every text stands for itself."""

_FIRST = "DejaVu Sans"  # ships with matplotlib, so every machine has it
_FURTHER = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK TC", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP"),
    *("Source Han Sans SC", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "IPAexGothic"),
    *("IPAGothic", "TakaoGothic", "NanumGothic", "Unifont", "PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo"),
    *("Microsoft YaHei", "Yu Gothic", "Malgun Gothic", "Arial Unicode MS", "Noto Sans Devanagari", "Noto Sans Bengali"),
    *("Noto Sans Tamil", "Noto Sans Thai", "Noto Sans Hebrew", "Noto Sans Arabic", "Noto Sans Ethiopic"),
)
"""Families that have what the first lacks, in the order in which they are tried."""

_MISSING = r"Glyph (\d+) .*missing from font"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def families() -> list[str]:
    """Return the font families of every text: a letter is taken from the first that has it."""
    installed = set(font_manager.get_font_names())
    return [_FIRST, *(family for family in _FURTHER if family in installed)]


def hushed() -> None:
    """Make this `warnings.catch_warnings` block silent about letters that no font has: `told` says it, once."""
    warnings.filterwarnings("ignore", message=_MISSING)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say on stderr, once, which letters no font had while a figure was saved inside the `with` block.

    Args:
        what: Name of the figure.
    """
    codes: set[int] = set()
    with warnings.catch_warnings():
        other = warnings.showwarning

        def show(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
            matched = re.match(_MISSING, str(message))
            if matched:
                codes.add(int(matched[1]))
            else:
                other(message, category, filename, lineno, file, line)

        warnings.filterwarnings("always", message=_MISSING)
        warnings.showwarning = show
        yield
    if codes:
        letters = ", ".join(f"{chr(code)} (U+{code:04X})" for code in sorted(codes))
        print(
            f"warning: {what}: no font here has {letters}; boxes stand there instead. Install one that has, e.g. Noto "
            f"Sans CJK, delete {matplotlib.get_cachedir()}/fontlist-*.json and draw the figure again.",
            file=sys.stderr,
        )


def width(text: str) -> int:
    """Return the width of a text in Latin letters; an East Asian one is twice as wide."""
    return len(text) + sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)


def wrapped(text: str, columns: int) -> str:
    """Return a text in lines of at most about `columns` Latin letters."""
    return textwrap.fill(text, max(1, columns * len(text) // max(1, width(text))))


def power_of_ten(exponent: int) -> str:
    """Return `10⁶`."""
    return f"10{str(exponent).translate(_SUPERSCRIPTS)}"
