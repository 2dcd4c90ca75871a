"""One training for every operating point (`one_training`), with a method that has nothing else of those that use it.

Its points are words, it has no entropy coder, and a rate is how many channels of the latent are sent.
"""

from collections.abc import Hashable, Mapping
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor, nn

import sc2.methods
from sc2.commands.link import decode_file, encode_file
from sc2.config.load import load_config
from sc2.config.resolved import Config
from sc2.data.normalise import normalise, to_batch
from sc2.data.spec import PixelSpec
from sc2.errors import ConfigError, WireError
from sc2.jobs.identity import job
from sc2.jobs.plan import Run, exported, previous, runs, trainings
from sc2.methods import get_method, method_names
from sc2.split.axes import Choice
from sc2.split.content import HalfContent
from sc2.split.method import BuildContext, DeviceHalf, Export, Method, ServerHalf
from sc2.split.rates import at_rate, within
from sc2.split.wire import Payload, pack, unpack
from sc2.strict import Strict
from sc2.training.recipe import Recipe, Terms, one_cycle
from tests.configuration import DEFAULT, Project, put
from tests.contract.conftest import Case, assert_same_output, eight_images, make_case, teacher_of, train_phase
from tests.planning import NAME
from tests.served import write_run

TOY = "first_channels"
SIZES = {"few": 1, "some": 2, "all": 4}
INPUT = {"resize": 32, "crop": 32, "mean": [0.5] * 3, "std": [0.25] * 3}
LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


class ToyArch(Strict):
    """Which points there are."""

    points: list[str] = Field(default=list(SIZES), description="Points, from the fewest channels to the most")


class Train(Strict):
    """The one phase."""

    epochs: int = Field(default=2, description="Passes over the training split")
    batch_size: int = Field(default=4, description="Images per step")


class Phases(Strict):
    """The training phases."""

    train: Train = Train()


class ToyParams(ToyArch):
    """Architecture and schedule."""

    phases: Phases = Phases()


class Content(HalfContent):
    """What either half is built from."""

    points: list[str]
    classes: int
    input: PixelSpec
    point: str
    state: dict[str, Tensor]


class Network(nn.Module):
    """Patches to four channels, to classes; of an image's channels a random number of the first ones is kept."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, max(SIZES.values()), 16, stride=16)
        self.decoder = nn.Sequential(nn.Flatten(), nn.Linear(4 * max(SIZES.values()), classes))

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        """Return logits [B, K] of images [B, 3, 32, 32] with `kept` [B] channels."""
        y = 8 * self.encoder(x)
        rounded = y + (y.round().clamp(-128, 127) - y).detach()
        return self.decoder(rounded * (torch.arange(y.shape[1])[:, None, None] < kept[:, None, None, None]))


class Device(DeviceHalf):
    """Sends the first channels, a byte each."""

    def __init__(self, content: Content) -> None:
        network = Network(content.classes)
        network.load_state_dict(content.state)
        self.network, self.encoder = network.encoder, network.encoder.requires_grad_(False)
        self.tables, self.input = {}, content.input
        self.rates, self.rate = tuple(content.points), content.point

    def at(self, rate: str) -> "Device":
        """Return the same half at another point."""
        other = copy(self)
        other.rate = rate
        return other

    def analyse(self, pixels: np.ndarray) -> Tensor:
        """Return all channels as whole numbers."""
        return (8 * self.encoder(normalise(to_batch(pixels), self.input))).round().clamp(-128, 127)

    def code(self, latent: Tensor) -> Payload:
        """Return the channels of the point."""
        kept = latent[0, : SIZES[self.rate]]
        return Payload((kept.to(torch.int8).numpy().tobytes(),), (len(kept),))


class Server(ServerHalf):
    """Takes any number of channels."""

    def __init__(self, content: Content) -> None:
        network = Network(content.classes)
        network.load_state_dict(content.state)
        self.network = network.decoder.requires_grad_(False)

    def decode(self, payload: Payload) -> Tensor:
        """Return all channels, zeros for what was not sent."""
        if len(payload.shape) != 1 or [len(stream) for stream in payload.streams] != [4 * payload.shape[0]]:
            raise WireError("not a payload of the first channels")
        received = torch.frombuffer(bytearray(payload.streams[0]), dtype=torch.int8).float().view(1, -1, 2, 2)
        return nn.functional.pad(received, (0, 0, 0, 0, 0, max(SIZES.values()) - len(received[0])))

    def answer(self, batch: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.network(batch)
        return logits


class FirstChannels(Method[ToyArch]):
    """The method as the workflow sees it."""

    Arch = ToyArch
    Params = ToyParams
    family = "toy"
    rate_axis = Choice("channels", (*SIZES, "more"))
    one_training = True

    def point_problem(self, arch: ToyArch, point: str) -> str | None:
        """Return what is wrong with a point that the architecture leaves out."""
        return None if point in arch.points else f"there are the points {', '.join(arch.points)}: take another point"

    def architecture(self, arch: ToyArch, point: str) -> Hashable:
        """Return nothing of the point."""
        return ()

    def training(self, params: Strict, context: BuildContext[ToyArch]) -> Recipe:
        """Return the recipe of `train`."""
        assert isinstance(params, Train)
        network, kept = Network(context.num_classes), torch.tensor([SIZES[point] for point in context.arch.points])

        def step(images: Tensor, targets: Tensor) -> Terms:
            drawn = kept[torch.randint(len(kept), (len(images),))]
            return {"loss": nn.functional.cross_entropy(network(images, drawn), targets)}

        return Recipe(
            model=network,
            trained=[network],
            step=step,
            optimizer=lambda parameters: torch.optim.Adam(parameters, 1e-2),
            learning_rate=one_cycle(),
            epochs=params.epochs,
            batch_size=params.batch_size,
            validate=lambda images, targets: {},
        )

    def export(self, context: BuildContext[ToyArch], state: Mapping[str, Tensor] | None) -> Export:
        """Return both halves."""
        assert state is not None
        content = Content(
            **{"points": context.arch.points, "classes": context.num_classes, "input": context.input.pixels},
            **{"point": context.point, "state": dict(state)},
        )
        return Export(content, content, dict(state))

    def load_device(self, blob: Mapping[str, Any]) -> Device:
        """Build the device half."""
        return Device(Content.model_validate(blob))

    def load_server(self, blob: Mapping[str, Any]) -> Server:
        """Build the server half."""
        return Server(Content.model_validate(blob))


METHOD = FirstChannels()


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The method is one of the catalogue, for one test."""
    modules = {name: sc2.methods.module_of(name) for name in method_names()}
    monkeypatch.setattr(sc2.methods, "_modules", lambda: {**modules, TOY: __name__})


def project(folder: Path) -> Project:
    """Return a configuration that runs it with two seeds."""
    made = Project(folder)
    (made.folder / "methods" / f"{TOY}.yaml").write_text(f"title: First channels\npoints: {list(SIZES)}\n")
    made.edit("config.yaml", put("benchmarks", {NAME: ["jpeg", TOY]}), put("groups", {}))
    made.edit("config.yaml", put("seeds", ["0", "1"]), put("max_seeds", None))
    made.edit(DEFAULT, lambda content: content.pop("examples", None))
    return made


def load(folder: Path) -> Config:
    return load_config(project(folder).folder / "config.yaml")


def planned(config: Config, stage: str, run: Run, **more: str) -> Any:
    return job(config, stage, {"benchmark": NAME, "method": TOY, "point": run.point, "seed": run.seed, **more})


# The plan


def test_it_is_a_method_of_the_catalogue_for_a_test() -> None:
    assert TOY in method_names()
    assert get_method(TOY) is METHOD
    assert get_method("jpeg").family == "codec"


def test_the_first_point_is_trained_and_every_point_exported_and_evaluated(tmp_path: Path) -> None:
    config = load(tmp_path)
    every = list(runs(config, NAME, TOY))
    assert [(run.seed, run.point) for run in every] == [(seed, point) for point in SIZES for seed in ("0", "1")]
    for run in every:
        first = Run(NAME, TOY, "few", run.seed)
        assert trainings(config, run) == (["train"] if run == first else [])
        assert exported(config, run) == [(first, "train")]
        assert (planned(config, "train", run, phase="train") is not None) == (run == first)
        assert previous(config, run, "train") == []
    for stage in ("export", "evaluate"):
        assert None not in [planned(config, stage, run) for run in every]


def test_another_first_point_is_the_one_that_is_trained(tmp_path: Path) -> None:
    made = project(tmp_path)
    made.edit(DEFAULT, put("methods", TOY, {"points": ["all", "few"]}))
    config = load_config(made.folder / "config.yaml")
    for point in ("all", "few"):
        assert exported(config, Run(NAME, TOY, point, "1")) == [(Run(NAME, TOY, "all", "1"), "train")]


@pytest.mark.parametrize("key", ["chain", "at", "share_sweep"])
def test_what_is_for_several_trainings_is_refused(tmp_path: Path, key: str) -> None:
    made = project(tmp_path)
    params = {"phases": {"train": {"epochs": 1}}}
    value = {"chain": {"params": params}, "at": [{"points": ["few"], **params}], "share_sweep": True}[key]
    made.edit(DEFAULT, put("methods", TOY, {key: value}))
    problem = f"one training gives {TOY} every operating point: remove this key"
    assert made.problems() == [(f"{DEFAULT}: methods.{TOY}.{key}", problem)]


def test_a_point_that_the_architecture_leaves_out_is_refused(tmp_path: Path) -> None:
    made = project(tmp_path)
    made.edit(DEFAULT, put("methods", TOY, {"points": ["few", "more"]}))
    [(where, problem)] = made.problems()
    assert where == f"{DEFAULT}: methods.{TOY}.points[1]"
    assert "there are the points few, some, all" in problem


# One half, every point


def trained(point: str) -> Case:
    """Return the case of a point after a training of its own."""
    case = make_case(TOY, point, INPUT, teacher_of("classification"))
    case.state = train_phase(case, "train", eight_images(), LABELS, seed=0)
    return case


def test_the_training_does_not_depend_on_the_point() -> None:
    states = [trained(point).state or {} for point in SIZES]
    assert states[0]
    for state in states[1:]:
        assert all(torch.equal(value, state[name]) for name, value in states[0].items())


def test_the_half_of_a_point_is_that_of_any_other_at_it() -> None:
    case, images = trained("few"), eight_images()
    device, server = case.device(), case.server()
    assert case.state is not None
    network = Network(3)
    network.load_state_dict(case.state)
    for point, channels in SIZES.items():
        other = make_case(TOY, point, INPUT, teacher_of("classification"))
        other.state = case.state
        assert other.device().rates == device.rates == tuple(SIZES)
        half = at_rate(device, point)
        assert [half.encode(image) for image in images] == [other.device().encode(image) for image in images]
        for image in images[:2]:
            payload = unpack(pack(half.encode(image), b"12345678"), b"12345678")
            assert payload.num_bytes == 4 * channels
            x = normalise(to_batch(image), case.context.input)
            with torch.no_grad():
                expected = network(x, torch.tensor([channels]))
            assert_same_output("classification", server.answer(server.decode(payload)), expected)
    assert device.encode(images[0]).num_bytes == 4, "a half at another rate is another half"
    with pytest.raises(ConfigError, match="does not have the rate more; it has: few, some, all"):
        at_rate(device, "more")


@pytest.mark.parametrize(("budget", "sent"), [(4, 4), (7, 4), (8, 8), (15, 8), (16, 16), (400, 16)])
def test_the_most_that_fits_into_a_budget_is_sent(budget: int, sent: int) -> None:
    case, image = trained("some"), eight_images()[0]
    assert within(case.device(), image, budget, sent_bytes=lambda payload: payload.num_bytes).num_bytes == sent
    with pytest.raises(ConfigError, match="at least 4 bytes, more than the budget of 3"):
        within(case.device(), image, 3, sent_bytes=lambda payload: payload.num_bytes)


def test_files_of_one_export_are_encoded_at_every_rate_and_decoded(tmp_path: Path) -> None:
    run = write_run(trained("some"), tmp_path / "run")
    image, container = tmp_path / "image.png", tmp_path / "out.sc2"
    Image.fromarray(eight_images()[0]).save(image)
    for rate, channels in [(None, 2), *SIZES.items()]:
        assert f"({4 * channels} payload)" in encode_file(run, image, container, rate=rate)
        assert decode_file([run], container, top=3, as_json=False).count("%") == 3
    size = container.stat().st_size
    assert f"{size - 8} bytes (8 payload)" in encode_file(run, image, container, budget=size - 1)
