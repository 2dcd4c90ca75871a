"""The family's parameters: the bottleneck's architecture, and phases shared by several recipes. No torch."""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from sc2.layers.spec import StridedChannels
from sc2.split.axes import RateAxis
from sc2.strict import Strict
from sc2.training.spec import Hinted, Replacement, Schedule, TrainedStages

Epochs = Annotated[int, Field(gt=0, description="Passes over the training split")]
QuantilesRate = Annotated[float, Field(gt=0, description="Learning rate of the quantiles' own Adam (our choice)")]
WeightDecay = Annotated[float, Field(ge=0, description="Weight decay")]

Prior = Literal["factorized", "scale_hyperprior", "mean_scale_hyperprior"]
"""A kind of entropy model of the bottleneck (docs/papers.md#hyperprior-bottlenecks)."""

AXIS = RateAxis(name="beta", symbol="β=", low=0.0, high=1e6, number=float)


# Architecture


class BottleneckArch(StridedChannels, Replacement):
    """The entropy-coded bottleneck (docs/papers.md#fp-bottleneck)."""

    latent_gain: float = Field(
        default=1.0,
        gt=0,
        description="Factor on the initial weights of g_a's last convolution. 1 is the papers'; a larger factor makes "
        "a short schedule start with latents above the quantisation noise instead of spending its first epochs on "
        "getting there (ours)",
    )
    output_relu: bool = Field(
        default=False,
        description="Whether a ReLU ends g_s, for features that have none below zero. The papers' g_s ends with its "
        "last convolution; a short schedule does not teach that the clipping (ours)",
    )
    output_norm: bool = Field(
        default=False, description="Whether a batch norm follows g_s's last convolution, before the ReLU (ours)"
    )
    quantiser: Literal["noise", "mixed"] = Field(
        default="noise",
        description="What g_s gets in training: the latent with uniform noise, as in the papers, or (mixed, ours) the "
        "rounded latent with the gradient of the unrounded one, while the bits are those under noise",
    )
    coder: Literal["static", "neighbours"] = Field(
        default="static",
        description="Tables on the wire: one per channel, from the density, as in the papers; or (neighbours, ours) "
        "nine per channel, counted on training images, of which the symbols above and to the left choose one",
    )


class StudentArch(BottleneckArch, Hinted):
    """The bottleneck, and where it is compared with the teacher."""


class HyperpriorArch(StudentArch):
    """The same with a hyperprior (docs/papers.md#hyperprior-bottlenecks)."""

    coder: Literal["static"] = Field(default="static", description="Tables on the wire: z's choose those of y")
    hyper_channels: int = Field(default=16, gt=0, description="Channels of z, the side information")


B = TypeVar("B", bound=BottleneckArch)
S = TypeVar("S", bound=StudentArch)


# Training


class Sgd(Strict):
    """Length, batch size and step size of a training with SGD."""

    epochs: Epochs
    batch_size: int
    lr: float
    momentum: float
    weight_decay: WeightDecay


class Tuning(Schedule, Sgd):
    """Parameters of `training.tuned_recipe`: SGD on the task's own loss."""


class RatePriced(Strict):
    """Parameters of `rate.rate_recipe`: Adam on a loss with a price of bits."""

    epochs: Epochs
    batch_size: int
    lr: float
    weight_decay: WeightDecay
    prior_lr_factor: float = Field(
        default=1.0,
        gt=0,
        description="Factor on the learning rate of the entropy model's density. 1 is the papers'; a larger factor "
        "lets the density fit within a short schedule (ours)",
    )
    quantiles_lr: QuantilesRate = 1e-2


class Distill(Strict):
    """Phase 1 of an Entropic Student; defaults are the papers' (docs/papers.md#entropic-student)."""

    epochs: int = Field(
        default=10,
        ge=0,
        description="Passes over the training split; 0 keeps the weights that the phase starts from, as of a chain",
    )
    batch_size: int = Field(default=64, gt=0, description="Images per step; the loss is a sum over them")
    lr: float = Field(default=1e-3, gt=0, description="Learning rate (Adam)")
    milestones: list[float] = Field(default=[0.5, 0.8], description="Fractions of the phase where the rate drops")
    gamma: float = Field(default=0.1, gt=0, le=1, description="Factor of each drop")
    trained_stages: TrainedStages = Field(default=[])
    quantiles_lr: QuantilesRate = 1e-2


class Finetune(Tuning):
    """Phase 2 of an Entropic Student; defaults are the papers' (docs/papers.md#entropic-student)."""

    epochs: Epochs = 10
    batch_size: int = Field(default=128, gt=0, description="Images per step")
    lr: float = Field(default=1e-3, gt=0, description="Learning rate (SGD)")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum")
    weight_decay: WeightDecay = 5e-4
    schedule: Literal["multi_step", "poly"] = Field(
        default="multi_step", description="Drops at milestones, or a polynomial decay, the papers' for segmentation"
    )
    alpha: float = Field(
        default=0.5, ge=0, le=1, description="Classification: weight of the cross entropy; 1 - alpha of the KL term"
    )
    temperature: float = Field(
        default=1.0, gt=0, description="Classification: softening of both distributions in the KL term"
    )


class Phases(Strict):
    """The training phases of an Entropic Student in order."""

    distill: Distill = Distill()
    finetune: Finetune = Finetune()


class StudentParams(StudentArch):
    """Architecture and schedule of an Entropic Student."""

    phases: Phases = Phases()

    @model_validator(mode="after")
    def _stages_follow_the_cut(self) -> Self:
        self.allow(self.phases.distill.trained_stages)
        return self


class HyperpriorParams(HyperpriorArch, StudentParams):
    """The same with a hyperprior."""
