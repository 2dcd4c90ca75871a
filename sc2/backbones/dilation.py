"""Finer features from the same weights: strides of the last stages become dilations (arXiv 1606.00915).

A convolution that loses its stride has the same receptive field as before; everything after it works on a map of twice
the resolution and dilates its kernel to every second position. At the positions of the original map the values are
unchanged, for convolutions that pad on both sides.
"""

from torch import nn

from sc2.backbones.base import StagedModel, stage_shapes
from sc2.errors import ConfigError

PROBE_PX = 256
"""Side of the image on which strides are measured, pixels."""


def strides_and_channels(model: StagedModel) -> tuple[dict[str, int], dict[str, int]]:
    """Return, by stage, the stride of its output relative to the image, e.g. 4, and its number of channels."""
    shapes = stage_shapes(model, PROBE_PX)
    return {name: PROBE_PX // shape[1] for name, shape in shapes.items()}, {n: s[0] for n, s in shapes.items()}


def dilate(model: StagedModel, output_stride: int) -> None:
    """Change a body in place so that no stage's stride is larger than `output_stride`; its weights are kept.

    Args:
        model: Any body whose stages halve the resolution at most once each.
        output_stride: 8, 16 or 32.

    Raises:
        ConfigError: The stem on its own has a larger stride.
    """
    rate = 1
    for name, stride in strides_and_channels(model)[0].items():
        if stride <= output_stride:
            continue
        if name == "stem":
            raise ConfigError(f"the stem has a stride of {stride}, so the features cannot have one of {output_stride}")
        rate = _dilate_stage(model.stages[name], rate)


def _dilate_stage(stage: nn.Module, rate: int) -> int:
    """Remove the stride of a stage whose input is `rate` times finer than before; return the factor after it."""
    rate_after = rate
    for module in stage.modules():
        if not isinstance(module, nn.Conv2d):
            continue
        # A parallel 1 × 1 convolution has the same stride, but no kernel to dilate.
        seen = rate if module.stride[0] > 1 else rate_after
        rate_after = max(rate_after, rate * module.stride[0])
        module.stride = (1, 1)
        if module.kernel_size[0] > 1:
            module.dilation = (seen, seen)
            if not isinstance(module.padding, str) and module.padding != (0, 0):
                module.padding = (seen * (module.kernel_size[0] // 2),) * 2
    return rate_after
