"""Markdown tables, texts and numbers for readers.

Names and titles come from outside and may hold anything. A page shows them as they are: a cell of a table is a plain
text unless it is `Markup`, and other texts go through `escaped` or `code`.
"""

import re
from collections.abc import Iterable, Sequence

_MARKS = re.compile(r"[\\`*<>\[\]|~$&#]|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown reads as more than itself, formulas included; an underscore inside a word is just that."""


class Markup(str):
    """A text that is Markdown already."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """Return a plain text as Markdown that shows it as it is, in one line."""
    return Markup(_MARKS.sub(r"\\\g<0>", " ".join(text.split())))


def code(text: str) -> Markup:
    """Return a text between as many backticks as it takes; in a table it must not hold a `|`."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence, room = "`" * (longest + 1), " " if longest else ""
    return Markup(f"{fence}{room}{text}{room}{fence}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int) -> str:
    """Return a Markdown table.

    Args:
        header: Titles of the columns.
        rows: Cells: plain texts, or `Markup`.
        numbers_from: First column that is aligned to the right.
    """
    rule = [Markup("---" if column < numbers_from else "---:") for column in range(len(header))]
    return "\n".join(_line(cells) for cells in [header, rule, *rows]) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell if isinstance(cell, Markup) else escaped(cell) for cell in cells)} |"


def number(value: float, decimals: int = 0) -> str:
    """Return a number with thousands separators, or a dash where there is none (NaN)."""
    return "–" if value != value else f"{value:,.{decimals}f}"


def ends(interval: Iterable[float], decimals: int) -> str:
    """Return the ends of an interval, e.g. `81.2 … 84.0`."""
    return " … ".join(number(end, decimals) for end in interval)


def with_spread(mean: float, std: float, decimals: int, seeds: int) -> str:
    """Return `mean`, or `mean ± std` where there are several seeds."""
    text = number(mean, decimals)
    return f"{text} ± {number(std, decimals)}" if seeds > 1 and mean == mean else text


def duration(seconds: float) -> str:
    """Return a duration, e.g. `1 h 04 min 09 s`."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours:
        return f"{hours} h {minutes:02d} min {rest:02d} s"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def in_a_sentence(label: str) -> str:
    """Return an axis label as it is written inside a sentence: `Box AP (%)` as `box AP`."""
    return label[:1].lower() + label[1:].removesuffix(" (%)")
