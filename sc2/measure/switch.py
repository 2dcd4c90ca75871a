"""What must be sent, and loaded, to turn one exported half into another of the same method.

Tensors are compared by content, wherever they stand: what the receiver already holds anywhere in its half need not be
sent again, so the layers that two operating points share (a frozen network) cost nothing. Plain values, such as a
quantiser's step, take a few bytes and are not counted.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Loading:
    """What turns received bytes into a half, as a call without arguments.

    Attributes:
        received: The bytes: the tensors that are sent.
        network: The network that some of them are weights of; None without one.
        kind: Names, types and shapes of the weights that are sent, and number of dimensions and type of each other
            tensor. Two of a kind differ by the bytes of tables alone, the longer of which take longer to copy:
            microseconds, where each tensor takes tens of them.
    """

    received: bytes
    network: nn.Module | None
    kind: Sequence[tuple[str, str, tuple[int, ...]]]

    def __call__(self) -> None:
        """Deserialise all tensors and copy the weights into the network."""
        received = torch.load(io.BytesIO(self.received), weights_only=True)
        if self.network is not None:
            self.network.load_state_dict(received["weights"], strict=False)


@dataclass(frozen=True)
class HalfContents:
    """What one half holds.

    Attributes:
        tensors: Every tensor of the exported half by a digest of its type, shape and values; equal ones once.
        network: The network built from it, None where a half has none.
        weights: Digests of the network's state by name.
    """

    tensors: Mapping[str, Tensor]
    network: nn.Module | None
    weights: Mapping[str, str]

    @classmethod
    def of(cls, half: Mapping[str, Any], network: nn.Module | None) -> "HalfContents":
        """Look through an exported half (nested mappings, lists and tuples) and the network built from it."""
        state = {} if network is None else network.state_dict()
        return cls(_tensors(half), network, {name: _digest(tensor) for name, tensor in state.items()})

    @property
    def num_bytes(self) -> int:
        """Bytes of all tensors."""
        return _num_bytes(self.tensors)

    def missing_bytes(self, wanted: "HalfContents") -> int:
        """Return the bytes of the tensors that are in the wanted half and not in this one."""
        return _num_bytes(self._missing(wanted))

    def loading(self, wanted: "HalfContents") -> Loading | None:
        """Return the call that turns received bytes into the wanted half; None where nothing has to be received.

        It deserialises the missing tensors and copies those that are weights into the wanted half's network. Its
        modules are there before: to construct them takes no bytes, and the time it takes is that of drawing random
        initial weights, which no deployment would do.
        """
        known, network = set(self.weights.values()), wanted.network
        state = {} if network is None else network.state_dict()
        weights = {name: tensor for name, tensor in state.items() if wanted.weights[name] not in known}
        loaded = {wanted.weights[name] for name in weights}
        others = {digest: tensor for digest, tensor in self._missing(wanted).items() if digest not in loaded}
        if not weights and not others:
            return None
        file = io.BytesIO()
        torch.save({"weights": weights, "others": others}, file)
        kind = [(name, str(tensor.dtype), tuple(tensor.shape)) for name, tensor in weights.items()]
        # The others are known by digests alone, which say nothing of the time they take.
        kind += [("", str(tensor.dtype), (tensor.ndim,)) for tensor in others.values()]
        return Loading(file.getvalue(), network, sorted(kind))

    def _missing(self, wanted: "HalfContents") -> dict[str, Tensor]:
        return {digest: tensor for digest, tensor in wanted.tensors.items() if digest not in self.tensors}


def _tensors(value: Any) -> dict[str, Tensor]:
    if isinstance(value, Tensor):
        return {_digest(value): value}
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    tensors: dict[str, Tensor] = {}
    for entry in inner:
        tensors |= _tensors(entry)
    return tensors


def _num_bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def _digest(tensor: Tensor) -> str:
    digest = hashlib.sha256(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
    digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
