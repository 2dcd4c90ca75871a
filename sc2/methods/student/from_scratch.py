"""The factorised-prior bottleneck in front of a backbone that nobody has trained (End-to-End).

Source: docs/papers.md#end-to-end.
"""

from collections.abc import Mapping

from torch import Tensor

from sc2.backbones.base import HEAD
from sc2.backbones.teacher import take_over
from sc2.errors import ConfigError
from sc2.methods.student.network import StudentNetwork
from sc2.methods.student.params import BottleneckArch
from sc2.methods.student.priors import FACTORIZED
from sc2.split.method import BuildContext


class UntrainedStudent(StudentNetwork):
    """A `StudentNetwork` whose every weight is random; of the teacher only the architecture is used.

    The weights depend on torch's random state alone.
    """

    def __init__(self, context: BuildContext[BottleneckArch]) -> None:
        super().__init__(context, FACTORIZED)
        backbone = context.teacher.untrained()
        # By name: importing torchvision for its class takes seconds.
        if any(type(module).__name__ == "FrozenBatchNorm2d" for module in backbone.modules()):
            raise ConfigError(
                f"a {context.teacher.backbone.name} with frozen batch norms cannot be trained from scratch: take "
                "end_to_end off this benchmark, or take frozen_batch_norm off its backbone"
            )
        self.tail = backbone.after(context.arch.cut)

    def take_over_body(self, state: Mapping[str, Tensor]) -> None:
        """Put all weights but the head's in from the same method's network on another benchmark.

        Raises:
            CheckpointError: They do not fit.
        """
        stages = [f"tail.stages.{name}" for name in self.tail.stages if name != HEAD]
        take_over(self, state, ["encoder", "prior", "decoder", *stages])
