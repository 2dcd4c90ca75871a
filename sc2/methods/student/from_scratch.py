"""The factorised-prior bottleneck before an untrained backbone (End-to-End).

Source: docs/papers.md#end-to-end.
"""

from collections.abc import Mapping

from torch import Tensor

from sc2.backbones.base import HEAD
from sc2.backbones.teacher import take_over
from sc2.errors import ConfigError
from sc2.methods.student.network import StudentNetwork
from sc2.methods.student.params import BottleneckArch
from sc2.split.method import BuildContext


class UntrainedStudent(StudentNetwork):
    """A `StudentNetwork` with random weights only; nothing but the teacher's architecture is used.

    The weights depend only on torch's random state.
    """

    def __init__(self, context: BuildContext[BottleneckArch]) -> None:
        super().__init__(context, "factorized")
        backbone = context.teacher.untrained()
        # By name: importing torchvision for its class takes seconds.
        frozen = any(type(module).__name__ == "FrozenBatchNorm2d" for module in backbone.modules())
        if frozen and context.encoder is None:
            raise ConfigError(
                f"a {context.teacher.backbone.name} with frozen batch norms cannot be trained from scratch: remove "
                "end_to_end from this benchmark, or frozen_batch_norm from its backbone"
            )
        self.tail = backbone.after(context.arch.cut)

    def take_over_body(self, state: Mapping[str, Tensor]) -> None:
        """Load all weights except the head's from the same method's network on another benchmark.

        Raises:
            CheckpointError: They do not fit.
        """
        stages = [f"tail.stages.{name}" for name in self.tail.stages if name != HEAD]
        take_over(self, state, ["encoder", "prior", "decoder", *stages])
