"""What the two ends of an entropy model are built from: what a trained one exports."""

from typing import Any

from pydantic import ConfigDict
from torch import Tensor

from sc2.errors import CheckpointError
from sc2.strict import Strict


class PriorContent(Strict):
    """What one end of an entropy model is built from.

    Attributes:
        tables: Tables of the coder, from `densities.tables_of` or `densities.hyperprior_tables`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    tables: dict[str, Any]


class HyperpriorContent(PriorContent):
    """What the device's end of a hyperprior is built from.

    Attributes:
        channels: Channels of y.
        hyper_channels: Channels of z.
        state: Weights of h_a.
    """

    channels: int
    hyper_channels: int
    state: dict[str, Tensor]


DevicePrior = HyperpriorContent | PriorContent
"""What the device's end of an entropy model is built from; the server's end needs only the tables."""


def hyperprior_content(content: DevicePrior) -> HyperpriorContent:
    """Return the content as that of a hyperprior.

    Raises:
        CheckpointError: It belongs to another entropy model.
    """
    if not isinstance(content, HyperpriorContent):
        raise CheckpointError("this device half holds no hyperprior; export it again")
    return content
