"""What every kind of archive yields."""

from collections.abc import Callable
from dataclasses import dataclass

AGAIN = "The archive is damaged: download or copy it again."
NOT_TRUSTED = "Such an archive is refused; get it from a source you trust, or pack it again from plain files."


@dataclass(frozen=True)
class Member:
    """One entry of an archive.

    Attributes:
        name: As the archive has it; it may be hostile.
        size: Bytes of its content.
        is_folder: Whether it is a folder.
        refused: Why it is not read, as the rest of a sentence about it; empty for a plain file.
        read: Returns its content, before the next member is asked for.
    """

    name: str
    size: int
    is_folder: bool
    refused: str
    read: Callable[[], bytes]
