"""Configuration that several kinds of training share. No torch."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from sc2.strict import Strict


class SupervisedTraining(Strict):
    """A task learned from its targets only: SGD (Nesterov momentum 0.9) and a one-cycle learning rate."""

    epochs: int = Field(gt=0, description="Passes over the training split")
    batch_size: int = Field(gt=0, description="Images per step")
    lr: float = Field(gt=0, description="Peak learning rate of the one-cycle schedule (SGD, Nesterov momentum 0.9)")
    weight_decay: float = Field(default=5e-4, ge=0, description="Weight decay")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Label smoothing of the cross entropy; must be 0 in detection"
    )


class Schedule(Strict):
    """How a learning rate decays over a phase; `sc2.training.recipe.schedule` turns it into a function."""

    schedule: Literal["cosine", "multi_step", "poly", "one_cycle"] = Field(
        default="cosine", description="How the learning rate decays; one_cycle rises first"
    )
    milestones: list[float] = Field(
        default=[0.5], description="Fractions of the phase where the rate drops (multi_step)"
    )
    gamma: float = Field(default=0.1, gt=0, le=1, description="Factor of each drop (multi_step)")
    power: float = Field(default=0.9, gt=0, description="Exponent of the polynomial decay (poly)")


STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")
"""The stages of a network that can be replaced or compared, in order."""


def _stages(names: list[str]) -> list[str]:
    wrong = [name for name in names if name not in STAGES]
    if wrong or len(set(names)) < len(names):
        raise ValueError(f"must be different stages; allowed: {', '.join(STAGES)}")
    return names


TrainedStages = Annotated[
    list[str],
    Field(
        description="Stages after the cut that are trained as well, instead of staying the teacher's; the papers have "
        "none on ImageNet"
    ),
    AfterValidator(_stages),
]


Cut = Annotated[
    str,
    Field(
        pattern="^(stem|layer[1-4])$",
        description="Last stage that the bottleneck replaces: the decoder outputs its features",
    ),
]

Hints = Annotated[
    list[str],
    Field(min_length=1, description="Stages whose outputs are compared with the teacher's; the cut or later"),
]


class Replacement(Strict):
    """Where a bottleneck replaces a network's first stages."""

    cut: Cut = "layer1"


class Hinted(Replacement):
    """A replacement that is trained to reproduce the teacher's features."""

    hints: Hints = Field(default=["layer1", "layer2", "layer3", "layer4"])

    @model_validator(mode="after")
    def _hints_follow_the_cut(self) -> Self:
        allowed = STAGES[STAGES.index(self.cut) :]
        wrong = [hint for hint in self.hints if hint not in allowed]
        if wrong:
            raise ValueError(f"no hints before the cut: {', '.join(wrong)}; allowed: {', '.join(allowed)}")
        return self

    def allow(self, trained: list[str]) -> None:
        """Refuse to train stages that the bottleneck replaces.

        Args:
            trained: The stages that a phase trains as well (`TrainedStages`).

        Raises:
            ValueError: One of them does not come after the cut.
        """
        allowed = STAGES[STAGES.index(self.cut) + 1 :]
        wrong = [stage for stage in trained if stage not in allowed]
        if wrong:
            raise ValueError(
                f"trained_stages: {', '.join(wrong)} must come after the cut; allowed: {', '.join(allowed)}"
            )
