"""Whole numbers in messages: unsigned LEB128, in the shortest form only."""

from collections.abc import Iterable

from sc2.errors import WireError

MAX_INTEGER = 2**32 - 1
MAX_VARINT_BYTES = 5  # 5 * 7 bits hold 32 bits


def varints(values: Iterable[int]) -> bytes:
    """Return integers in 0 … 2³² − 1, one after the other: 7 bits a byte, lowest first, bit 7 set on all but the last.

    Raises:
        WireError: A message cannot hold one of them.
    """
    return b"".join(_varint(value) for value in values)


class VarintReader:
    """Reads consecutive integers and refuses every form that `varints` does not write.

    Args:
        data: The whole message, or its start.
        position: Where the first integer starts.
        name: What the message is called when it is refused.
    """

    def __init__(self, data: bytes | bytearray, position: int, name: str) -> None:
        self.data = data
        self.position = position
        self.name = name

    def integer(self) -> int:
        """Return the next integer.

        Raises:
            WireError: The message ends inside it, or it is too large or not in shortest form.
        """
        start, value = self.position, 0
        for index in range(MAX_VARINT_BYTES):
            if start + index >= len(self.data):
                raise WireError(f"the {self.name} is truncated: an integer of its header ends after {index} bytes")
            byte = self.data[start + index]
            value |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                self.position = start + index + 1
                return self._checked(value, last=byte, size=index + 1)
        raise WireError(f"the header is damaged: the integer at byte {start} is longer than {MAX_VARINT_BYTES} bytes")

    def count(self, what: str, limit: int) -> int:
        """Return the next integer, which counts something.

        Raises:
            WireError: As `integer`, or it is above the limit.
        """
        value = self.integer()
        if value > limit:
            raise WireError(f"the header is damaged: {value} {what}, at most {limit} are allowed")
        return value

    def _checked(self, value: int, last: int, size: int) -> int:
        # One encoding per value: otherwise two different messages could hold the same payload.
        if last == 0 and size > 1:
            raise WireError(f"the header is damaged: the integer before byte {self.position} is not in shortest form")
        if value > MAX_INTEGER:
            raise WireError(f"the header is damaged: the integer {value} is above {MAX_INTEGER}")
        return value


def _varint(value: int) -> bytes:
    if not 0 <= value <= MAX_INTEGER:
        raise WireError(f"a container holds integers from 0 to {MAX_INTEGER}, not {value}")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
