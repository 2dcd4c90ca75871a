"""The family's device half without torch."""

from collections.abc import Mapping
from typing import Any

from sc2.layers.portable import portable_prior
from sc2.methods.learned_codec.halves import LearnedCodecDevice, LearnedCodecDeviceContent
from sc2.methods.learned_codec.images import MULTIPLE
from sc2.split.method import DeviceHalf
from sc2.split.portable import Portable, latent_sender


def portable(half: DeviceHalf, content: Mapping[str, Any]) -> Portable:
    """Return g_a and the entropy model; images are padded to multiples of 64."""
    assert isinstance(half, LearnedCodecDevice)
    prior = LearnedCodecDeviceContent.model_validate(content).prior
    kind, tables, network = portable_prior(prior, half.encoder, half.coder.network)
    return Portable(latent_sender(kind, tables, shape="image"), network, "unit", MULTIPLE)
