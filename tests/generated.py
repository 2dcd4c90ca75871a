"""The part of a page that a command writes, between two marks."""

from collections.abc import Iterable
from pathlib import Path


def marks(command: str) -> tuple[str, str]:
    """Return the marks around what a command writes."""
    return f"<!-- begin: written by `{command}` -->", f"<!-- end: written by `{command}` -->"


def put(page: Path, command: str, lines: Iterable[str]) -> None:
    """Replace what stands between the two marks of a command on a page."""
    begin, end = marks(command)
    before, rest = page.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    page.write_text(before + "\n".join([begin, "", *lines, "", end]) + after, encoding="utf-8")


def table(page: Path, command: str, column: str) -> list[dict[str, str]]:
    """Return the rows of a table that a command has written on a page, by the names of its columns.

    Args:
        page: The page.
        command: The command.
        column: A column that no other table of the command has.

    Raises:
        ValueError: There is no such table, or it has no row.
    """
    begin, end = marks(command)
    lines = page.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    heads = [index for index, row in enumerate(cells) if column in row]
    if len(heads) != 1:
        raise ValueError(f"{page.name}: {len(heads)} tables of `{command}` have a column {column!r}; run the command")
    head, rows = cells[heads[0]], cells[heads[0] + 2 :]
    ends = (index for index, row in enumerate(rows[1:], 1) if set("".join(row)) <= set("-:"))
    found = rows[: next(ends, len(rows) + 1) - 1]
    if not found:
        raise ValueError(f"{page.name}: the table of `{command}` with a column {column!r} is empty; run the command")
    return [dict(zip(head, row, strict=True)) for row in found]


def state_of(git: dict[str, str | bool | None]) -> str:
    """Return which code something ran on, as records hold it, in words."""
    return f"commit {str(git['commit'] or 'unknown')[:10]}" + (" with changes" if git["dirty"] else "")
