"""`coder: neighbours` of a trained method: counted in training, exported, and sent; and where it is not allowed."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sc2.entropy.neighbourhood import CLASSES
from sc2.methods import get_method
from sc2.split.wire import pack, unpack
from tests import independent_decoder
from tests.contract.conftest import Case, make_case, phase_recipe, teacher_of
from tests.payload_vectors import rows

INPUT = {"resize": 32, "crop": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
METHODS = ["entropic_student", "end_to_end"]
MODEL = bytes(8)


def counted(name: str, coder: str = "neighbours") -> tuple[Case, Any]:
    """Return a case whose first phase has been finished and calibrated on images, without a step."""
    case = make_case(name, "0.5", INPUT, teacher_of("classification"), {"coder": coder, "latent_gain": 30.0})
    recipe = phase_recipe(case, case.method.phases()[0], seed=0)
    model = recipe.model.eval()
    recipe.finish()
    if recipe.calibrate is not None:
        with torch.no_grad():
            recipe.calibrate(torch.randn(3, 2, 3, 32, 32, generator=torch.Generator().manual_seed(2)))
    case.state = model.state_dict()
    return case, model


@pytest.mark.parametrize("name", METHODS)
def test_what_is_counted_is_what_the_encoder_sends(name: str) -> None:
    _, model = counted(name)
    counts = model.prior.neighbour_counts
    images = torch.randn(3, 2, 3, 32, 32, generator=torch.Generator().manual_seed(2)).flatten(0, 1)
    with torch.no_grad():
        y = model.encoder(images)
    assert counts.sum() == y.numel()
    symbols = torch.round(y - model.prior.entropy_bottleneck.quantiles[:, :, 1:2].reshape(1, -1, 1, 1))
    zeros = counts[:, 127].view(-1, CLASSES).sum(1)
    assert torch.equal(zeros, (symbols == 0).sum((0, 2, 3)))
    assert len(symbols.unique()) > 3


@pytest.mark.parametrize("name", METHODS)
def test_both_ends_and_a_decoder_made_from_the_page_agree(name: str) -> None:
    case, model = counted(name)
    content = case.export().server.plain()["prior"]["tables"]
    device, server = case.device(), case.server()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    latent: Any = device.analyse(pixels)
    container = pack(device.code(latent), MODEL)
    received = server.decode(unpack(container, MODEL))
    images = (torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25
    with torch.no_grad():
        y_hat, _ = model.prior(model.encoder(images))
    torch.testing.assert_close(received, y_hat, rtol=0, atol=1e-5)
    low = int(content["low"])
    plain = {"coder": "factorized", "shape": "latent", "tables": rows(content), "low": low}
    symbols = independent_decoder.decode(container, plain)
    assert symbols == latent[0].flatten().tolist()
    bits = case.method.estimate_bits(device, latent)
    assert bits is not None
    assert 0 <= device.code(latent).num_bytes - bits / 8 + 0.01 < 1.02


@pytest.mark.parametrize("name", METHODS)
def test_the_option_changes_the_device_half_and_nothing_without_it(name: str) -> None:
    neighbours, static = (counted(name, coder)[0].export().device.plain() for coder in ("neighbours", "static"))
    assert "low" not in static["prior"]["tables"]
    assert len(neighbours["prior"]["tables"]["cdf"]) == CLASSES * len(static["prior"]["tables"]["cdf"])
    assert all(torch.equal(value, static["state"][key]) for key, value in neighbours["state"].items())
    assert not any("neighbour" in key for key in counted(name, "static")[0].state or {})


def test_a_hyperprior_chooses_its_tables_otherwise() -> None:
    with pytest.raises(ValidationError, match="static"):
        get_method("entropic_student_mshp").Params.model_validate({"coder": "neighbours"})


def test_an_encoder_that_is_reused_is_not_counted_again() -> None:
    """Its tables are a part of the device half, which serves several tasks."""
    case, model = counted("entropic_student")
    again = make_case("entropic_student", "0.5", INPUT, teacher_of("classification"), {"coder": "neighbours"})
    again.context = replace(again.context, encoder=case.state)
    recipe = phase_recipe(again, "distill", seed=1)
    assert recipe.calibrate is None
    assert torch.equal(recipe.model.prior.neighbour_counts, model.prior.neighbour_counts)
