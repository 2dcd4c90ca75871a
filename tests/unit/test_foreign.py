"""Values from outside: taken as the format says, or refused."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from sc2.foreign import flag, number, text, whole, written_flag, written_number

TAKEN: list[tuple[Callable[..., Any], Any, Any]] = [
    (number, 3, 3.0),
    (number, -0.5, -0.5),
    (whole, 3, 3),
    (whole, 3.0, 3),
    (flag, 0, False),
    (flag, 1, True),
    (flag, True, True),
    (text, "café 猫", "café 猫"),
    (written_number, " 17 ", 17.0),
    (written_number, "-0.5e1", -5.0),
    (written_number, "45.70000076293945", 45.70000076293945),
    (written_number, "0", 0.0),
    (written_flag, None, False),
    (written_flag, " 1\n", True),
]
REFUSED: list[tuple[Callable[..., Any], Any, str]] = [
    (number, "0", "the text '0'; it must be a number: remove the quotes"),
    (number, math.nan, "nan; it must be a finite number"),
    (number, math.inf, "inf; it must be a finite number"),
    (number, 10**400, "finite number"),
    (number, 10**5000, "a number of thousands of digits"),
    (number, True, "True; it must be a number"),
    (number, None, "None; it must be a number"),
    (number, [1], r"\[1\]; it must be a number"),
    (whole, 12.7, "12.7; it must be a whole number"),
    (whole, -1, "-1; it must be at least 0"),
    (whole, math.nan, "finite"),
    (flag, "0", "'0'; it must be 0 or 1, without quotes"),
    (flag, "yes", "0 or 1"),
    (flag, 2, "0 or 1"),
    (flag, [], "0 or 1"),
    (flag, math.nan, "0 or 1"),
    (text, 3, "it must be text"),
    (text, "", "it must be text"),
    (text, "a\udce9", "is not UTF-8"),
    (text, "a\nb", "control character"),
    (text, "a\0", "control character"),
    (written_number, "nan", "a decimal number"),
    (written_number, "inf", "a decimal number"),
    (written_number, "017", "a decimal number"),
    (written_number, "0x10", "a decimal number"),
    (written_number, "1_000", "a decimal number"),
    (written_number, "٣", "a decimal number"),
    (written_number, "1e999", "finite"),
    (written_number, "-", "a decimal number"),
    (written_number, "", "a decimal number"),
    (written_number, None, "here is missing"),
    (written_flag, "yes", "it must be 0 or 1"),
    (written_flag, "2", "it must be 0 or 1"),
]


@pytest.mark.parametrize(("check", "value", "expected"), TAKEN)
def test_a_value_of_the_right_kind_is_taken(check: Callable[..., Any], value: Any, expected: Any) -> None:
    taken = check(value, "here")
    assert taken == expected
    assert type(taken) is type(expected)


@pytest.mark.parametrize(("check", "value", "message"), REFUSED, ids=range(len(REFUSED)))
def test_another_value_is_refused_with_its_place(check: Callable[..., Any], value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        check(value, "here")
    assert "here" in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_range_is_checked() -> None:
    assert number(2, "here", low=1, high=2) == 2
    with pytest.raises(ValueError, match="here is 3; it must be from 1 to 2"):
        whole(3, "here", low=1, high=2)
    with pytest.raises(ValueError, match=r"here is 0\.5; it must be at least 1"):
        written_number("0.5", "here", low=1)
