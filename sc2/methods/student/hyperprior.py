"""What the Entropic Students with a hyperprior share: one parameter more (docs/papers.md#hyperprior-bottlenecks)."""

from pydantic import Field

from sc2.methods.student.entropic_student import Params


class HyperpriorParams(Params):
    """Architecture (docs/papers.md#hyperprior-bottlenecks) and schedule (docs/papers.md#entropic-student)."""

    hyper_channels: int = Field(default=16, gt=0, description="Channels of z, the side information")
