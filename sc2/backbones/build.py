"""Builds the network that a specification names."""

import importlib
from collections.abc import Mapping
from typing import Any

from sc2.backbones.base import StagedModel
from sc2.errors import ConfigError


def build_backbone(spec: Mapping[str, Any], num_classes: int) -> StagedModel:
    """Build the network that a `BackboneSpec` names, with random weights.

    Args:
        spec: `name` and `args` of the network; for another task than classification also its `head`, with `name` (a
            file in `sc2/layers/heads/`) and `args`, and `output_stride` where strides become dilations.
        num_classes: Classes of the task, without a background.

    Raises:
        ConfigError: The network cannot be built with these arguments.
    """
    family = importlib.import_module(f"sc2.backbones.{spec['name']}")
    try:
        built: StagedModel = family.build(num_classes, **spec["args"])
    except (TypeError, ValueError, RuntimeError) as error:  # whatever the library makes of a wrong argument
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"the network {spec['name']} cannot be built with {dict(spec['args'])}: {reason}; change backbone.args"
        ) from error
    if spec.get("output_stride") is not None:
        from sc2.backbones.dilation import dilate

        dilate(built, spec["output_stride"])
    head = spec.get("head")
    if head is None:
        return built
    attached: StagedModel = importlib.import_module(f"sc2.layers.heads.{head['name']}").attach(
        built, num_classes, **head["args"]
    )
    return attached


def body(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of the same network as a classifier: for a device, which runs stages before the head only."""
    return {key: value for key, value in spec.items() if key != "head"}
