"""The order of the tests: none is lost, the long ones come first in each process, and groups stay together."""

import pytest

from tests.dealt import dealt

LONG = ["A1", "A2", "B1", "C1", "C2"]
SHORT = list("abcdefg")


def group(item: str) -> str | None:
    return item[0] if item.isupper() else None


def test_each_process_begins_with_its_share_of_the_long_ones() -> None:
    # 12 tests for 3 processes: four each.
    order = dealt([*SHORT, *LONG], 3, group)
    assert order == ["A1", "A2", "a", "b", "B1", "c", "d", "e", "C1", "C2", "f", "g"]


def test_parts_are_those_that_xdist_gives_out() -> None:
    """Of 8 tests for 3 processes, it gives 8 // 3 to the first, 6 // 2 to the second, and the rest to the third."""
    order = dealt(["a", "b", "c", "d", "e", "A1", "B1", "C1"], 3, group)
    assert [order[:2], order[2:5], order[5:]] == [["A1", "a"], ["B1", "b", "c"], ["C1", "d", "e"]]


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("items", [[*LONG, *SHORT], LONG, SHORT, ["A1"], []])
def test_none_is_lost_and_order_is_kept(items: list[str], workers: int) -> None:
    order = dealt(items, workers, group)
    assert sorted(order) == sorted(items)
    for kind in ("A", "C", "short"):
        of_kind = [item for item in items if (group(item) or "short") == kind]
        assert [item for item in order if item in of_kind] == of_kind
