"""In which order tests are run, so that the processes of pytest-xdist end together: each begins with its long ones."""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def dealt(items: Sequence[Item], workers: int, long: Callable[[Item], str | None]) -> list[Item]:
    """Return tests in an order in which each process has as many long groups as the others, and runs them first.

    pytest-xdist gives each process one part of the list, all of about the same length; who has done their part takes
    over what is at the end of another's (`--dist worksteal`). A long test there would be the last to end, alone.

    Args:
        items: All tests.
        workers: How many processes there are.
        long: Returns the group of a test that is long, e.g. its file, whose tests stay together; None for the others.
    """
    groups: dict[str, list[Item]] = {}
    short = []
    for item in items:
        name = long(item)
        if name is None:
            short.append(item)
        else:
            groups.setdefault(name, []).append(item)
    parts: list[list[Item]] = [[] for _ in range(workers)]
    for position, group in enumerate(groups.values()):
        parts[position % workers] += group
    left, taken = len(items), 0
    for number, part in enumerate(parts):
        size = left // (workers - number)
        more = max(size - len(part), 0)
        part += short[taken : taken + more]
        left, taken = left - size, taken + more
    return [item for part in parts for item in part] + short[taken:]
