"""Imports of libraries, without looking for garbage in between."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Switch garbage collection off while libraries are imported.

    What an import makes stays. Looking through it again and again takes a fifth of the time in which torch and its like
    are imported.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
