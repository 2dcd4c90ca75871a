"""Damaged text files by number: the same number always gives the same bytes. For others see `tests.mutations`."""

import copy
import json
import math
import random
from collections.abc import Callable
from typing import Any

import yaml

from tests.mutations import damaged

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, math.inf, -math.inf, math.nan),
    *("", "0", "yes", ".inf", "017", "1e999", "\0", "../x", "/etc/passwd", "é", "x" * 5000, "2020-13-99"),
    *([], {}, [[]], [None], ["0"], [0.5], {"a": 1}, {"": None}, [1] * 300),
)


def text_file(number: int, content: bytes, write: Callable[[Any], str], read: Callable[[bytes], Any]) -> bytes:
    """Return a damaged file of YAML or JSON: by its bytes, or by its values."""
    chance = random.Random(f"text {number}")
    if chance.random() < 0.4:
        return damaged(content, chance)
    parsed = read(content)
    for _ in range(chance.choice((1, 1, 2))):
        _change(parsed, chance)
    return write(parsed).encode("utf-8", "surrogatepass")


def yaml_file(number: int, content: bytes) -> bytes:
    """Return a damaged YAML file."""
    return text_file(number, content, lambda parsed: yaml.safe_dump(parsed, sort_keys=False), yaml.safe_load)


def json_file(number: int, content: bytes) -> bytes:
    """Return a damaged JSON file."""
    return text_file(number, content, json.dumps, json.loads)


def _change(parsed: Any, chance: random.Random) -> None:
    """Set, remove or rename one entry somewhere in mappings and lists."""
    inside = parsed
    while True:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        if not keys:
            return
        key = chance.choice(keys)
        if not isinstance(inside[key], dict | list) or chance.random() < 0.3:
            break
        inside = inside[key]
    match chance.randrange(4):
        case 0:
            del inside[key]
        case 1 if isinstance(inside, dict):
            inside[damaged(str(key).encode(), chance).decode("utf-8", "replace")] = inside.pop(key)
        case _:
            inside[key] = copy.deepcopy(chance.choice(ODD_VALUES))


def xml_file(number: int, content: bytes) -> bytes:
    """Return a damaged XML file: by its bytes, or with other text between two tags."""
    chance = random.Random(f"xml {number}")
    if chance.random() < 0.4:
        return damaged(content, chance)
    texts = content.decode().split(">")
    for _ in range(chance.choice((1, 1, 2))):
        at = chance.randrange(len(texts) - 1)
        _, less, tag = texts[at].partition("<")
        texts[at] = chance.choice([*map(str, ODD_VALUES), "&#0;", "&x;", "<![CDATA[", "<a>", "<!--"]) + less + tag
    return ">".join(texts).encode("utf-8", "surrogatepass")
