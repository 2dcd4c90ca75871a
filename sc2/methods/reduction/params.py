"""The parameters of CR+BQ (docs/papers.md#channel-reduction-quantization). No torch."""

from typing import Self

from pydantic import Field, model_validator

from sc2.split.axes import RateAxis
from sc2.strict import Strict
from sc2.training.spec import Hinted, TrainedStages

AXIS = RateAxis(name="channels", symbol="C=", low=1, high=64, number=int)


class ReductionArch(Hinted):
    """Encoder and decoder, and where they are compared with the teacher."""

    encoder_channels: list[int] = Field(
        default=[64, 64, 256, 64],
        min_length=4,
        max_length=4,
        description="Channels of the encoder's convolutions, without the last, whose channels are the operating point",
    )
    decoder_channels: list[int] = Field(
        default=[64, 128, 256],
        min_length=3,
        max_length=3,
        description="Channels of the decoder's convolutions, without the last, which has those of the cut",
    )
    output_relu: bool = Field(
        default=True,
        description="A ReLU after the decoder, as in a ResNet; false where features at the cut have both signs (ours)",
    )


class Distill(Strict):
    """The one phase; defaults are the papers'."""

    epochs: int = Field(default=20, gt=0, description="Passes over the training split")
    batch_size: int = Field(default=64, gt=1, description="Images per step; the loss is a sum over them")
    lr: float = Field(default=1e-3, gt=0, description="Learning rate (Adam)")
    milestones: list[float] = Field(
        default=[0.25, 0.5, 0.75], description="Fractions of the phase where the rate drops"
    )
    gamma: float = Field(default=0.1, gt=0, le=1, description="Factor of each drop")
    trained_stages: TrainedStages = Field(default=[])


class Phases(Strict):
    """The training phases in order."""

    distill: Distill = Distill()


class Params(ReductionArch):
    """Architecture and schedule."""

    phases: Phases = Phases()

    @model_validator(mode="after")
    def _stages_follow_the_cut(self) -> Self:
        self.allow(self.phases.distill.trained_stages)
        return self
