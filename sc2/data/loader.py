"""Batches made ahead by worker processes, in the order in which they are asked for."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import torch
from torch.utils.data import DataLoader, Dataset

from sc2.errors import ConfigError, SC2Error

WORKERS = "SC2_WORKERS"
"""Environment variable: how many processes of a training decode its images. No result depends on it."""

Plan = TypeVar("Plan")
Made = TypeVar("Made")


def wanted_workers() -> int:
    """Return how many processes decode images, from the environment; 0, the default, is none but the training's own.

    Raises:
        ConfigError: The variable is no whole number.
    """
    value = os.environ.get(WORKERS) or "0"
    if not (value.isascii() and value.isdecimal()):
        raise ConfigError(f"{WORKERS} is {value!r}: set it to the number of processes that decode images, e.g. 8, or 0")
    return int(value)


def loaded(make: Callable[[Plan], Made], plans: Iterator[Plan], workers: int, *, pinned: bool) -> Iterator[Made]:
    """Yield what a function makes of each plan, in order, made by worker processes.

    Args:
        make: The function; it must not depend on anything random.
        plans: What to make; read ahead in this process.
        workers: Number of processes, at least 1.
        pinned: Whether tensors are put into page-locked memory, which a GPU reads faster.

    Raises:
        SC2Error: The function has raised it in a worker.
    """
    # Its own generator: the loader draws a seed that nothing here uses, and must not move the training's random
    # numbers.
    loader: DataLoader[Any] = DataLoader(
        _Making(make),
        sampler=cast(Any, plans),
        batch_size=None,
        num_workers=workers,
        collate_fn=_unchanged,
        worker_init_fn=_quiet,
        pin_memory=pinned,
        generator=torch.Generator(),
    )
    for made in loader:
        if isinstance(made, SC2Error):
            raise made
        yield made


class _Making(Dataset[Any]):
    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make

    def __getitem__(self, plan: Any) -> Any:
        try:
            return self.make(plan)
        except SC2Error as error:  # raised by the loader, its message would be a traceback
            return error


def _unchanged(batch: Any) -> Any:
    return batch


def _quiet(worker: int) -> None:
    """Let the training's own process decide what a signal ends: workers end with it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(1)
