"""What a running stage receives that does a part of the work of other jobs as well."""

from collections.abc import Sequence
from dataclasses import dataclass

from sc2.job import RunningJob


@dataclass(frozen=True)
class SweepJob(RunningJob):
    """A job that does a part of the work of others at other operating points, on the same data.

    Attributes:
        sweep: Those jobs, which are not done: their trainings are done together with that of this job, and leave states
            (`RunningJob.state`) from which the jobs themselves go on to their outputs.
    """

    sweep: Sequence[RunningJob] = ()
