"""What a configuration says of training, where several kinds of training say the same. No torch."""

from typing import Literal

from pydantic import Field

from sc2.strict import Strict


class SupervisedTraining(Strict):
    """A task learned from its targets alone: SGD (Nesterov momentum 0.9) and a one-cycle learning rate."""

    epochs: int = Field(gt=0, description="Passes over the training split")
    batch_size: int = Field(gt=0, description="Images per step")
    lr: float = Field(gt=0, description="Peak learning rate of the one-cycle schedule (SGD, Nesterov momentum 0.9)")
    weight_decay: float = Field(default=5e-4, ge=0, description="Weight decay")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Label smoothing of the cross entropy; 0 in detection"
    )


class Schedule(Strict):
    """How a learning rate falls over a phase; `sc2.training.recipe.schedule` makes a function of it."""

    schedule: Literal["cosine", "multi_step", "poly", "one_cycle"] = Field(
        default="cosine", description="How the learning rate falls; one_cycle rises first"
    )
    milestones: list[float] = Field(
        default=[0.5], description="Fractions of the phase where the rate drops (multi_step)"
    )
    gamma: float = Field(default=0.1, gt=0, le=1, description="Factor of each drop (multi_step)")
    power: float = Field(default=0.9, gt=0, description="Exponent of the polynomial fall (poly)")
