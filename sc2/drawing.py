"""What a running stage receives that draws."""

from dataclasses import dataclass

from sc2.job import RunningJob


@dataclass(frozen=True)
class DrawingJob(RunningJob):
    """A job that draws.

    Attributes:
        uncommitted: Whether the job itself, or any behind its inputs, ran on code that no commit holds. The picture
            says so; it is no part of what identifies the job.
    """

    uncommitted: bool = False
