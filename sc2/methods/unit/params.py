"""Parameters of the bottleneck units. No torch."""

from pydantic import Field

from sc2.strict import Strict


class UnitArch(Strict):
    """The part of a unit's architecture that the operating point does not give."""

    signed_features: bool = Field(
        default=False,
        description="Whether the features at the cuts have negative values, as between an EfficientNet-Lite0's blocks: "
        "then no ReLU follows the unit's last batch norm (ours; in a ResNet they do not)",
    )
    exact_size: bool = Field(
        default=True,
        description="Whether the decoder returns maps of the size at the cut; false: as published, 15×15 and 17×17 for "
        "14×14 (docs/papers.md#unit-architecture)",
    )


class UnitTraining(Strict):
    """Schedule of a unit: all values are ours, none is published (docs/papers.md#bottleneck-unit)."""

    epochs: int = Field(default=10, gt=0, description="Passes over the training split")
    batch_size: int = Field(default=64, gt=0, description="Images per step")
    lr: float = Field(default=1e-3, gt=0, description="Peak learning rate of the one-cycle schedule (Adam)")
    prior_lr: float = Field(default=1e-2, gt=0, description="Peak learning rate of the density that estimates the bits")
    bit_price: float = Field(default=1e-4, ge=0, description="λ: price of a bit per image, in nats of the task's loss")


class DistilledTraining(UnitTraining):
    """Schedule of a unit, and the softening of the distributions in its loss."""

    temperature: float = Field(default=1.0, gt=0, description="τ: softening of both distributions in the KL term")
