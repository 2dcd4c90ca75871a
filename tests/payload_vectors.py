"""Payloads of all learned methods, also with options: a container, what its server half holds, and its values.

Version 2 is in the golden streams (`golden/v1/`), version 1 in `vectors/payloads.json`, which stays as it is.
Everything is as docs/wire-format.md describes it, as plain lists; of the 64 Gaussian tables only those that occur.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sc2.checkpoint import load_checkpoint
from sc2.commands.selftest import DRAWN, EXPECTED
from sc2.methods import get_method
from sc2.methods.gained.params import num_steps
from sc2.methods.gained.rates import RateScale, rate_weights
from sc2.split.wire import Payload, fingerprint_of, pack, unpack
from tests.contract.conftest import names_with_options
from tests.golden_streams import FOLDER
from tests.independent_decoder import decode
from tests.tiny_halves import tiny_export, tiny_halves, tiny_payload

FILE_1 = Path(__file__).parent / "vectors" / "payloads.json"
FAMILIES = ("gained", "learned_codec", "reduction", "student", "unit")


def learned_methods() -> list[str]:
    """Names of the methods whose payload is not a file of an image codec and not a class, and of their options."""
    return [name for name in names_with_options() if get_method(name).family in FAMILIES]


def vector(name: str) -> dict[str, Any]:
    """Return what is made of a method now."""
    device, server = tiny_halves(name)
    payload = tiny_payload(name, device)
    container = pack(payload, fingerprint_of(name.encode()))
    values = server.decode(payload).flatten().tolist()
    model = model_of(name, tiny_export(name).server.plain(), payload)
    return {"method": name, "container": container.hex(), "model": model, "values": values}


def golden(name: str) -> dict[str, Any]:
    """Return the golden stream of a method whose symbols are of every kind."""
    folder = FOLDER / name
    container = (folder / DRAWN).read_bytes()
    content = load_checkpoint(folder / "server.pt", "server")["half"]
    values = json.loads((folder / EXPECTED).read_bytes())["drawn"]
    model = model_of(name, content, unpack(container, None))
    return {"method": name, "container": container.hex(), "model": model, "values": values}


def gains_of(content: Mapping[str, Any]) -> list[list[float]]:
    """Return the gain of each channel at each rate of the device."""
    gain = RateScale(content["state"]["gain.log_factor"])
    positions = torch.linspace(0, content["rates"] - 1, num_steps(content["rates"], content["between"]))
    with torch.no_grad():
        gains: list[list[float]] = gain.factors(rate_weights(positions, content["rates"]))[..., 0, 0].tolist()
    return gains


def model_of(name: str, content: Mapping[str, Any], payload: Payload) -> dict[str, Any]:
    """Return what the server half of a method holds for decoding a payload, given its content."""
    if get_method(name).family == "reduction":
        return {"coder": "affine"}
    if get_method(name).family == "gained":
        gains = gains_of(content)[payload.shape[0]]
        model = {"coder": "factorized", "shape": "rate and latent", "channels": content["channels"], "gains": gains}
        return {**model, "tables": rows(content["tables"])}
    if get_method(name).family == "unit":
        return {"coder": "factorized", "shape": "latent", "tables": rows(content["tables"]), "step": content["step"]}
    shape = "image" if get_method(name).family == "learned_codec" else "latent"
    tables = content["prior"]["tables"]
    if "synthesis" not in tables:
        low = {"low": int(tables["low"])} if "low" in tables else {}
        medians = tables["medians"].tolist()
        return {"coder": "factorized", "shape": shape, "tables": rows(tables), "medians": medians} | low
    model = {
        "coder": "hyperprior",
        "shape": shape,
        "channels": tables["channels"],
        "z": rows(tables["z"]),
        "shift": tables["shift"].tolist(),
        "synthesis": layers(tables["synthesis"]),
        "y": rows(tables["y"]),
        "thresholds": tables["y"]["thresholds"].tolist(),
    }
    networks = {part: layers(tables["context"][part]) for part in tables.get("context", {})}
    return only_used(model | networks, pack(payload, bytes(8)))


def rows(tables: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """Return each table's first value and cumulative counts."""
    lengths = tables["cdf_length"].tolist()
    flat = tables["cdf"]
    split = flat.split(lengths) if flat.ndim == 1 else [row[:size] for row, size in zip(flat, lengths, strict=True)]
    starts = tables["offset"].tolist()
    return [{"offset": start, "cdf": row.tolist()} for start, row in zip(starts, split, strict=True)]


def layers(network: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the layers of an exact network in order."""
    ordered = [network[str(position)] for position in range(len(network))]
    return [
        {key: value.tolist() if isinstance(value, Tensor) else value for key, value in layer.items()}
        for layer in ordered
    ]


def only_used(model: dict[str, Any], container: bytes) -> dict[str, Any]:
    """Return the model without the Gaussian tables that a container needs nothing of."""

    class Tables(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            used.add(index)
            return super().__getitem__(index)

    used: set[int] = set()
    decode(container, model | {"y": Tables(model["y"])})
    return model | {"y": [row if index in used else None for index, row in enumerate(model["y"])]}
