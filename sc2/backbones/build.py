"""Builds the network that a specification names."""

import importlib

from sc2.backbones.base import StagedModel
from sc2.backbones.spec import NetworkSpec
from sc2.errors import ConfigError


def build_network(spec: NetworkSpec, num_classes: int) -> StagedModel:
    """Build a network with random weights.

    Args:
        spec: The network; it has a head for every task except classification.
        num_classes: Classes of the task, background excluded.

    Raises:
        ConfigError: The network cannot be built with these arguments.
    """
    family = importlib.import_module(f"sc2.backbones.{spec.name}")
    try:
        built: StagedModel = family.build(num_classes, **spec.args)
    except (TypeError, ValueError, RuntimeError) as error:  # whatever the library raises for a wrong argument
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"the network {spec.name} cannot be built with {spec.args}: {reason}; change backbone.args"
        ) from error
    if spec.output_stride is not None:
        from sc2.backbones.dilation import dilate

        dilate(built, spec.output_stride)
    if spec.head is None:
        return built
    head = importlib.import_module(f"sc2.backbones.heads.{spec.head.name}")
    attached: StagedModel = head.attach(built, num_classes, **spec.head.args)
    return attached
