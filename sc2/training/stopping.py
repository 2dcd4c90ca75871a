"""Signals that ask a training to end: they end it between two steps, where its state can be saved."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from sc2.errors import SC2Error

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""A time limit or the end of a workflow, a user's Ctrl-C, and what clusters send before a time limit on request."""


class Stopped(SC2Error):
    """A training was asked to end by a signal."""


class Stopping:
    """While it is entered, a signal raises `Stopped`: at once, or at the end of what `held` surrounds.

    A second Ctrl-C there ends the process as it would without this. Signals that the process ignores stay ignored.

    Args:
        together: Where several processes train together: tells all of them whether one has received a signal. They stop
            at the end of the same block only.
    """

    def __init__(self, together: Callable[[bool], bool] | None = None) -> None:
        self._process = os.getpid()
        self._before: dict[int, Any] = {}
        self._together = together
        self._held = together is not None
        self.received: signal.Signals | None = None

    def __enter__(self) -> Self:
        # Python lets no other thread set handlers.
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let signals wait until the end of the block, where the state is whole again.

        Raises:
            Stopped: A signal has come.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = self._together is not None
        stop = self.received is not None
        if stop if self._together is None else self._together(stop):
            raise self._stopped()

    @contextmanager
    def ignored(self) -> Iterator[None]:
        """Let no further signal disturb the block, but for a second Ctrl-C."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # A process that was forked from this one, e.g. to read images: it ends as it would have.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if self._held and self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        if not self._held:
            raise self._stopped()

    def _stopped(self) -> Stopped:
        # Another process may have received it.
        return Stopped(f"stopped by {(self.received or signal.SIGTERM).name}")
