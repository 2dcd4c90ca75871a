"""Bit fields, exp-Golomb codes and the BPG file's base-128 integers.

Bits are counted from the most significant one of each byte. `u(n)` and `ue(v)` are named as in ITU-T H.265, clause 9.2;
`ue7` is BPG's own: groups of seven bits, most significant group first, the top bit set on all bytes but the last.
"""

from sc2.errors import WireError

MAX_UE = 2**32 - 2
"""Largest value that `ue(v)` may carry in HEVC."""
MAX_UE7 = 2**32 - 1
_MAX_UE7_BYTES = 5  # 5 * 7 bits hold 32 bits


class BitReader:
    """Reads bit fields one after another.

    Attributes:
        what: What is being read, for error messages.
        position: Bits read so far.
    """

    def __init__(self, data: bytes, what: str) -> None:
        self.what = what
        self.position = 0
        self._size = 8 * len(data)
        self._value = int.from_bytes(data, "big")

    @property
    def bits_left(self) -> int:
        """Bits that have not been read."""
        return self._size - self.position

    def u(self, count: int) -> int:
        """Return the next `count` bits as an unsigned integer.

        Raises:
            WireError: Fewer bits are left.
        """
        if count > self.bits_left:
            raise WireError(f"the {self.what} is truncated: {count} bits are needed, {self.bits_left} are left")
        self.position += count
        return (self._value >> (self._size - self.position)) & ((1 << count) - 1)

    def flag(self) -> bool:
        """Return the next bit."""
        return self.u(1) == 1

    def ue(self) -> int:
        """Return the next exp-Golomb code, an integer in 0 … 2³² − 2.

        Raises:
            WireError: The code is cut off or longer than HEVC allows.
        """
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > 31:
                raise WireError(f"the {self.what} is damaged: an exp-Golomb code has more than 31 leading zeros")
        return (1 << zeros) - 1 + self.u(zeros)


class BitWriter:
    """Collects bit fields; the counterpart of `BitReader`."""

    def __init__(self) -> None:
        self._value = 0
        self._size = 0

    def u(self, count: int, value: int) -> None:
        """Append `value` as `count` bits."""
        if not 0 <= value < 1 << count:
            raise WireError(f"{value} does not fit into {count} bits")
        self._value = self._value << count | value
        self._size += count

    def flag(self, value: bool) -> None:
        """Append one bit."""
        self.u(1, int(value))

    def ue(self, value: int) -> None:
        """Append an integer in 0 … 2³² − 2 as exp-Golomb code."""
        if not 0 <= value <= MAX_UE:
            raise WireError(f"an exp-Golomb code holds integers from 0 to {MAX_UE}, not {value}")
        self.u(2 * (value + 1).bit_length() - 1, value + 1)

    def to_bytes(self) -> bytes:
        """Return the written bits, padded with zeros to whole bytes."""
        size = (self._size + 7) // 8
        return (self._value << (8 * size - self._size)).to_bytes(size, "big")


def read_ue7(data: bytes, position: int, what: str) -> tuple[int, int]:
    """Return the integer in 0 … 2³² − 1 at `position`, and the position after it.

    Raises:
        WireError: The integer is cut off, too large, or not in its shortest form.
    """
    value = 0
    for index in range(_MAX_UE7_BYTES):
        if position + index >= len(data):
            raise WireError(f"the BPG file is truncated in its {what}")
        byte = data[position + index]
        if index == 0 and byte == 0x80:
            raise WireError(f"the BPG file is damaged: its {what} is not in shortest form")
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            if value > MAX_UE7:
                break
            return value, position + index + 1
    raise WireError(f"the BPG file is damaged: its {what} is above {MAX_UE7}")


def ue7(value: int) -> bytes:
    """Return an integer in 0 … 2³² − 1 in its shortest form."""
    if not 0 <= value <= MAX_UE7:
        raise WireError(f"a BPG file holds integers from 0 to {MAX_UE7}, not {value}")
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F | 0x80)
    return bytes(reversed(groups))
