"""Published learned image codecs, alone or in front of a classifier, as codecs of the family here."""

from typing import Any

from torch import Tensor, nn

from sc2.methods.learned_codec.network import InputCompression
from sc2.released.parts import Parts
from sc2.split.method import BuildContext

_CODEC, _CLASSIFIER = "compression_model.", "classification_model."


def network(method: Any, context: BuildContext[Any]) -> nn.Module:
    """Return the network of a run, with whatever weights."""
    return InputCompression(context, method.codec)


def weights(method: Any, parts: Parts) -> dict[str, Tensor]:
    """Return the published weights under the names of the network; a classifier beside the codec is left out.

    Args:
        method: The method.
        parts: The published network.
    """
    own = {name: value for name, value in parts.others.items() if not name.startswith(_CLASSIFIER)}
    return {f"codec.{name.removeprefix(_CODEC)}": value for name, value in own.items()}
