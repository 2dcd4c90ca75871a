"""What the Entropic Students with a hyperprior share: one parameter more (spec 1.7)."""

from pydantic import Field

from sc2.methods.student.entropic_student import Params


class HyperpriorParams(Params):
    """Architecture (spec 1.6, 1.7) and schedule (spec 1.10)."""

    hyper_channels: int = Field(default=16, gt=0, description="Channels of z, the side information")
