"""Damaged inputs by number: the same number always gives the same bytes."""

import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from sc2.split.wire import MAX_INTEGER, Payload, pack

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**63, 10**400, 0.5, -0.0, 1e308, math.inf, -math.inf, math.nan),
    *("", "0", "yes", ".inf", "017", "1e999", "\0", "../x", "/etc/passwd", "é", "x" * 5000, "2020-13-99"),
    *([], {}, [[]], [None], ["0"], [0.5], {"a": 1}, {"": None}, [1] * 300),
)
ODD_INTEGERS = (0, 1, 2, 3, 7, 8, 63, 255, 256, 4095, 65_535, 2**20, 2**31 - 1, 2**31, MAX_INTEGER)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Set, flip, drop, double, cut or append some bytes."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        at, size = chance.randrange(len(changed) + 1), chance.choice((1, 1, 2, 4, 16, 64))
        match chance.randrange(6):
            case 0:
                changed[at : at + size] = chance.randbytes(len(changed[at : at + size]))
            case 1:
                if at < len(changed):
                    changed[at] ^= 1 << chance.randrange(8)
            case 2:
                del changed[at : at + size]
            case 3:
                changed[at:at] = changed[at : at + size]
            case 4:
                del changed[at:]
            case _:
                changed[at:at] = chance.randbytes(size)
    return bytes(changed)


def container(number: int, payloads: Sequence[Payload], fingerprint: bytes) -> bytes:
    """Return a damaged container; in four of five the damage is to the payload, under a checksum that is right."""
    chance = random.Random(f"container {number}")
    payload = chance.choice(payloads)
    if chance.random() < 0.2:
        return mutated(pack(payload, fingerprint), chance)
    streams, shape = list(payload.streams), list(payload.shape)
    for _ in range(chance.choice((1, 1, 2))):
        match chance.randrange(8):
            case 0 if shape:
                shape[chance.randrange(len(shape))] = chance.choice(ODD_INTEGERS)
            case 1 if shape:
                del shape[chance.randrange(len(shape))]
            case 2:
                shape.insert(chance.randrange(len(shape) + 1), chance.choice(ODD_INTEGERS))
            case 3 if streams:
                del streams[chance.randrange(len(streams))]
            case 4:
                other = chance.choice(chance.choice(payloads).streams or (b"",))
                streams.insert(chance.randrange(len(streams) + 1), other)
            case _ if streams:
                index = chance.randrange(len(streams))
                streams[index] = mutated(streams[index], chance)
            case _:
                streams.append(chance.randbytes(8))
    return pack(Payload(tuple(streams), tuple(shape)), fingerprint)


def text_file(number: int, content: bytes, write: Callable[[Any], str], read: Callable[[bytes], Any]) -> bytes:
    """Return a damaged file of YAML or JSON: by its bytes, or by its values."""
    chance = random.Random(f"text {number}")
    if chance.random() < 0.4:
        return mutated(content, chance)
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
            inside[mutated(str(key).encode(), chance).decode("utf-8", "replace")] = inside.pop(key)
        case _:
            inside[key] = chance.choice(ODD_VALUES)


def xml_file(number: int, content: bytes) -> bytes:
    """Return a damaged XML file: by its bytes, or with other text between two tags."""
    chance = random.Random(f"xml {number}")
    if chance.random() < 0.4:
        return mutated(content, chance)
    texts = content.decode().split(">")
    for _ in range(chance.choice((1, 1, 2))):
        at = chance.randrange(len(texts) - 1)
        _, less, tag = texts[at].partition("<")
        texts[at] = chance.choice([*map(str, ODD_VALUES), "&#0;", "&x;", "<![CDATA[", "<a>", "<!--"]) + less + tag
    return ">".join(texts).encode("utf-8", "surrogatepass")
