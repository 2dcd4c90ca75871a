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


def state_of(git: dict[str, str | bool | None]) -> str:
    """Return which code something ran on, as records hold it, in words."""
    return f"commit {str(git['commit'] or 'unknown')[:10]}" + (" with changes" if git["dirty"] else "")
