"""The family's device half without torch."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from sc2.layers.portable import portable_prior
from sc2.layers.prior_content import DevicePrior
from sc2.methods.student.halves import StudentDevice
from sc2.split.method import DeviceHalf
from sc2.split.portable import Portable, latent_sender


def portable(half: DeviceHalf, content: Mapping[str, Any]) -> Portable:
    """Return g_a, or the stages up to the cut, and the entropy model."""
    assert isinstance(half, StudentDevice)
    prior: DevicePrior = TypeAdapter(DevicePrior).validate_python(content["prior"])
    kind, tables, network = portable_prior(prior, half.encoder, half.coder.network)
    return Portable(latent_sender(kind, tables), network, "normalised")
