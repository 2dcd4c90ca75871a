"""The teacher's network and weights, and weights copied from one network into another."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pydantic import ConfigDict
from torch import Tensor, nn

from sc2.backbones.base import StagedModel
from sc2.backbones.build import build_network
from sc2.backbones.spec import NetworkSpec
from sc2.errors import CheckpointError
from sc2.strict import Strict


class TeacherCheckpoint(Strict):
    """The content of a teacher's checkpoint.

    Attributes:
        task: Name of its task.
        backbone: The network.
        classes: Names of the classes, in the order of the outputs.
        state: Its weights.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    task: str
    backbone: NetworkSpec
    classes: list[str]
    state: dict[str, Tensor]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Validate the content of a file of the kind `teacher`."""
        return cls.model_validate({key: value for key, value in content.items() if key != "kind"})

    def untrained(self) -> StagedModel:
        """Return the network with random weights."""
        return build_network(self.backbone, len(self.classes))


def teacher_model(teacher: TeacherCheckpoint) -> StagedModel:
    """Return the teacher that a checkpoint holds, in eval mode and without gradients."""
    model = teacher.untrained()
    model.load_state_dict(teacher.state)
    return model.eval().requires_grad_(False)


def head_of(network: nn.Module) -> nn.Module:
    """Return the head of a split network, whatever its class."""
    return network.get_submodule("tail.stages.head")


def take_over(network: nn.Module, state: Mapping[str, Tensor], parts: Sequence[str]) -> None:
    """Load weights of the same method's network on another benchmark into parts of a network.

    Args:
        network: Changed in place.
        state: State dict of the other network.
        parts: Names of submodules; the other network's weights under them must fit exactly.

    Raises:
        CheckpointError: The weights do not fit: the method has different parameters on the two benchmarks.
    """
    for part in parts:
        own = {name.removeprefix(f"{part}."): value for name, value in state.items() if name.startswith(f"{part}.")}
        try:
            network.get_submodule(part).load_state_dict(own)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"the {part} of the encoder_from benchmark does not fit; give the method the same parameters on both "
                f"benchmarks: {reason}"
            ) from error
