"""Export of a trained learned codec: the two halves of input compression, built from its weights."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from torch import Tensor, nn

from sc2.backbones.teacher import take_over
from sc2.entropy.densities import hyperprior_tables, tables_of
from sc2.errors import ConfigError
from sc2.layers.prior_content import HyperpriorContent, PriorContent
from sc2.methods.learned_codec.context import context_layers
from sc2.methods.learned_codec.halves import LearnedCodecDeviceContent, LearnedCodecServerContent
from sc2.methods.learned_codec.images import MULTIPLE
from sc2.methods.learned_codec.network import InputCompression
from sc2.methods.learned_codec.params import AXIS, LearnedCodecArch
from sc2.split.method import BuildContext, Export

# Upstream's figures leave entropy_parameters out of the encoder of the joint model, although the device needs it too
# (docs/papers.md#encoder-size).
_UPSTREAM = ("g_a", "h_a", "h_s", "entropy_bottleneck", "gaussian_conditional", "context_prediction")


def split(context: BuildContext[LearnedCodecArch], codec: str, state: Mapping[str, Tensor]) -> Export:
    """Return the halves of a trained codec, with coding tables built from its densities.

    Args:
        context: Its point is the quality.
        codec: CompressAI's class name.
        state: State dict of an `InputCompression`, in CompressAI's shapes for the point's N and M channels.

    Raises:
        CheckpointError: The trained weights have no exact integer form, or are another benchmark's and do not fit.
        ConfigError: The images may have sides that are not multiples of 64.
    """
    if context.input.square is None and context.input.multiple % MULTIPLE:
        raise ConfigError(f"input.multiple is {context.input.multiple}; a learned codec needs a multiple of {MULTIPLE}")
    network = InputCompression(context, codec)
    take_over(network, state, ["codec"])
    model, teacher = network.codec, context.teacher
    n, m = context.arch.widths(AXIS.parse(context.point))
    tables = coding_tables(model, m)
    prior = PriorContent(tables=tables)
    if hasattr(model, "h_a"):
        hyper_analysis = model.get_submodule("h_a").state_dict()
        prior = HyperpriorContent(tables=tables, channels=m, hyper_channels=n, state=hyper_analysis)
    device = LearnedCodecDeviceContent(
        codec=codec, n=n, m=m, state=model.get_submodule("g_a").state_dict(), prior=prior
    )
    weights = {f"g_s.{name}": value for name, value in model.get_submodule("g_s").state_dict().items()}
    server = LearnedCodecServerContent(
        codec=codec,
        n=n,
        m=m,
        input=context.input,
        backbone=teacher.backbone,
        num_classes=context.num_classes,
        state=weights | {f"reference.{name}": value for name, value in teacher.state.items()},
        prior=PriorContent(tables=tables),
    )
    return Export(device, server, upstream_state(model))


def coding_tables(model: nn.Module, channels: int) -> dict[str, Any]:
    """Return everything both ends need to code latents of one of CompressAI's models with `channels` channels."""
    # A copy, because building the tables leaves them in the model.
    parts: Any = deepcopy(model)
    if not hasattr(parts, "h_a"):
        return tables_of(parts.entropy_bottleneck)
    tables = hyperprior_tables(parts.entropy_bottleneck, parts.h_s, channels)
    return tables | {"context": context_layers(parts).model_dump()} if hasattr(parts, "context_prediction") else tables


def upstream_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the entries of one of CompressAI's models that upstream's figures count as its encoder.

    Source: docs/papers.md#encoder-size.
    """
    updated: Any = deepcopy(model)
    updated.update(force=True)
    return {name: value for name, value in updated.state_dict().items() if name.partition(".")[0] in _UPSTREAM}
