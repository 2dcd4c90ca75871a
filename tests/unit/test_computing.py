"""What trainings compute on, and in what numbers: decoders and stages alone are coarse or compiled, and in steps."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from compressai.entropy_models import EntropyBottleneck, GaussianConditional
from pydantic import ValidationError
from torch import Tensor, nn

from sc2.config.schema import Compute
from sc2.errors import ConfigError
from sc2.methods.gained.rates import LogisticPrior
from sc2.methods.learned_codec.network import InputCompression
from sc2.methods.student.trained_priors import TrainedPrior
from sc2.tasks import get_task
from sc2.training import driver
from sc2.training.arithmetic import PLAIN, Arithmetic
from sc2.training.computing import Computing, networks
from sc2.training.loop import fit
from sc2.training.recipe import Recipe
from sc2.training.validation import validate
from tests.unit.test_shares import student

CPU = torch.device("cpu")
BF16 = Computing(CPU, Arithmetic(precision="bf16"))
IMAGES = torch.randn(12, 3, 32, 32, generator=torch.Generator().manual_seed(5))
TARGETS = torch.arange(12) % 3
ENTROPY_MODELS = (EntropyBottleneck, GaussianConditional, LogisticPrior, TrainedPrior)


def batches(epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
    for first in range(4 * start, len(IMAGES), 4):
        yield IMAGES[first : first + 4], TARGETS[first : first + 4]


def dtypes_of(modules: dict[str, nn.Module], run: Callable[[], Any]) -> dict[str, torch.dtype]:
    """Return the type of what modules returned during a call; the first tensor where it is a tuple."""
    seen: dict[str, torch.dtype] = {}

    def see(name: str, output: Any) -> None:
        seen[name] = (output[0] if isinstance(output, tuple) else output).dtype

    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: see(name, output))
        for name, module in modules.items()
    ]
    run()
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("entropic_student", "distill"),
        ("entropic_student_mshp", "distill"),
        ("mean_scale_hyperprior", "train"),
        ("gained_student", "joint"),
        ("end_to_end", "train"),
    ],
)
def test_no_encoder_and_no_entropy_model_is_coarse(input_spec: dict[str, Any], name: str, phase: str) -> None:
    recipe = student(input_spec, name, phase)
    found = networks(recipe)
    codec = recipe.model.codec if isinstance(recipe.model, InputCompression) else recipe.model
    decoder, encoder = ("g_s", "g_a") if codec is not recipe.model else ("decoder", "encoder")
    assert codec.get_submodule(decoder) in found
    within = {id(module) for network in found for module in network.modules()}
    assert not within & {id(module) for module in codec.get_submodule(encoder).modules()}
    models = [module for module in recipe.model.modules() if isinstance(module, ENTROPY_MODELS)]
    assert models
    assert not within & {id(part) for model in models for part in model.modules()}
    # With the stages of the teacher and of what follows the cut.
    stages = [m for root in (recipe.model, *recipe.frozen) for path, m in root.named_modules() if _is_stage(path)]
    assert {id(stage) for stage in stages} <= within
    assert len(stages) >= 4


def _is_stage(path: str) -> bool:
    return path.rpartition(".")[0].endswith("stages")


def test_a_step_in_bf16_is_coarse_inside_and_float32_outside(input_spec: dict[str, Any]) -> None:
    recipe = student(input_spec, "entropic_student_mshp", "distill")
    recipe.set_modes()
    model: Any = recipe.model
    inner = {
        "in decoder": model.decoder[0],
        "in tail": model.tail.stages["layer3"].conv1,
        "in teacher": recipe.frozen[-1].stages["layer2"].conv1,
    }
    outer = {
        **{"encoder": model.encoder, "in encoder": model.encoder[0], "decoder": model.decoder},
        **{"y_hat": model.prior, "z": model.prior.hyper_analysis, "scales": model.prior.hyper_synthesis},
        **{"stage": model.tail.stages["layer3"], "teacher's": recipe.frozen[-1].stages["layer2"]},
    }
    terms: dict[str, Tensor] = {}
    coarse = BF16.training(recipe)
    seen = dtypes_of(inner | outer, lambda: terms.update(coarse.step(IMAGES[:4], TARGETS[:4])))
    assert {name: seen[name] for name in inner} == dict.fromkeys(inner, torch.bfloat16)
    assert {name: seen[name] for name in outer} == dict.fromkeys(outer, torch.float32)
    assert {value.dtype for value in terms.values()} == {torch.float32}
    terms["loss"].backward()
    assert {p.grad.dtype for p in recipe.trained_parameters() if p.grad is not None} == {torch.float32}
    # Bits are those of float32 to the last bit: nothing before them is coarse.
    torch.manual_seed(1)
    fine = recipe.step(IMAGES[:4], TARGETS[:4])
    torch.manual_seed(1)
    again = coarse.step(IMAGES[:4], TARGETS[:4])
    assert again["bits"].item() == fine["bits"].item()
    assert again["sse"].item() != fine["sse"].item()
    assert again["sse"].item() == pytest.approx(fine["sse"].item(), rel=0.01)
    # Afterwards, and in validation, everything is float32.
    seen = dtypes_of(inner, lambda: coarse.validate(IMAGES[:4], TARGETS[:4]))
    assert set(seen.values()) == {torch.float32}


@pytest.mark.parametrize("phase", ["distill", "finetune"])
def test_a_training_in_bf16_ends_near_that_in_float32(input_spec: dict[str, Any], tmp_path: Path, phase: str) -> None:
    """Within 3 % of its loss on the validation split, where the training itself changes it by more than 10 %."""
    ended, weights = {}, {}
    for name, computing in (("float32", Computing(CPU)), ("bf16", BF16)):
        recipe: Any = student(input_spec, "entropic_student", phase)
        recipe.epochs, recipe.select, recipe.learning_rate = 8, None, lambda step, total: 1.0
        recipe.optimizer = lambda parameters: torch.optim.Adam(parameters, lr=0.01)
        recipe.model.encoder[-1].weight.data.mul_(50)  # otherwise all symbols are zeros, which say nothing
        computing.place(recipe)
        before = validate(recipe, batches(0))["loss"]
        options: dict[str, Any] = {"seed": 1, "label": "", "steps_per_epoch": 3}
        history = fit(computing.training(recipe), batches, batches, state_path=tmp_path / name, **options)
        assert {tensor.dtype for tensor in recipe.model.parameters()} == {torch.float32}
        # What was written of it is plain validation of these weights (`finish` moves medians after it).
        ended[name], weights[name] = history[-1]["val_loss"], recipe.model.state_dict()
        assert abs(ended[name] / before - 1) > 0.1
    assert ended["bf16"] == pytest.approx(ended["float32"], rel=0.03)
    assert any(not torch.equal(weights["bf16"][name], tensor) for name, tensor in weights["float32"].items())


def test_without_any_of_it_a_recipe_stays_what_it_is(input_spec: dict[str, Any]) -> None:
    recipe = student(input_spec, "entropic_student", "distill")
    assert Computing(CPU).training(recipe) is recipe
    assert Computing(CPU, Arithmetic(precision="tf32")).training(recipe).step == recipe.step


# Torch's own, while it traces; not shown outside of pytest.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_compiled_networks_compute_the_same_in_steps_alone(input_spec: dict[str, Any]) -> None:
    """With a backend that runs what it is given: what torch traced is all there, hooks and gradients included."""
    graphs: list[int] = []

    def run(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    results = {}
    for name, arithmetic in (("plain", PLAIN), ("compiled", Arithmetic(compile=True))):
        recipe = student(input_spec, "entropic_student", "distill")
        recipe.set_modes()
        step = Computing(CPU, arithmetic, run).training(recipe).step
        losses = []
        for seed in (1, 2):
            torch.manual_seed(seed)
            terms = step(IMAGES[:4], TARGETS[:4])
            terms["loss"].backward()
            losses.append(terms["loss"].item())
        results[name] = losses, [p.grad for p in recipe.trained_parameters()]
    # The decoder, and teacher and tail up to their heads; in the second step nothing is compiled again.
    assert len(graphs) == 1 + 5 + 3
    assert results["compiled"][0] == pytest.approx(results["plain"][0], rel=1e-6)
    for one, other in zip(results["plain"][1], results["compiled"][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert not any("forward" in vars(module) for module in recipe.model.modules())


def test_networks_are_their_own_again_after_a_step_that_fails(input_spec: dict[str, Any]) -> None:
    recipe = student(input_spec, "entropic_student", "distill")
    with pytest.raises(RuntimeError, match="channels"):
        BF16.training(recipe).step(IMAGES[:4, :2], TARGETS[:4])
    assert not any("forward" in vars(module) for root in (recipe.model, *recipe.frozen) for module in root.modules())


def test_what_a_machine_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Computing.here(Arithmetic(compile=True)).arithmetic.compile
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "which", lambda name: None)
        with pytest.raises(ConfigError, match=r"compute\.compile needs a C\+\+ compiler \(.*\) here: install it"):
            Computing.here(Arithmetic(compile=True))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "an old GPU")
    with pytest.raises(ConfigError, match=r"compute\.precision is bf16, which an old GPU has no arithmetic for"):
        Computing.here(Arithmetic(precision="bf16"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="needs the package triton here"):
        Computing.here(Arithmetic(compile=True))
    assert Computing.here(PLAIN).on_gpu


@pytest.mark.parametrize(
    ("device", "precision", "channels_last"),
    [
        ("cpu", "float32", True),
        ("cpu", "bf16", True),
        ("cuda", "float32", False),
        ("cuda", "tf32", True),
        ("cuda", "bf16", True),
    ],
)
def test_the_rule_of_the_memory_format(device: str, precision: Any, channels_last: bool) -> None:
    computing = Computing(torch.device(device), Arithmetic(precision=precision))
    expected = torch.channels_last if channels_last else torch.contiguous_format
    assert computing.memory_format == expected
    assert computing.images(IMAGES).is_contiguous(memory_format=expected)


def test_tf32_is_for_trainings_that_ask_for_it_and_for_their_steps_alone() -> None:
    seen: dict[str, tuple[bool, bool]] = {}

    def see(name: str) -> Callable[..., Any]:
        def run(*_arguments: Any) -> dict[str, Tensor]:
            seen[name] = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
            return {}

        return run

    def recipe() -> Recipe:
        parts: Any = {"step": see("step"), "validate": see("validate"), "calibrate": see("calibrate")}
        parts |= {"optimizer": torch.optim.Adam, "learning_rate": lambda step, total: 1.0}
        return Recipe(model=nn.Identity(), trained=[], epochs=1, batch_size=1, **parts)

    try:
        for precision in ("tf32", "float32", "bf16"):
            computing = Computing(CPU, Arithmetic(precision=precision))
            asked = recipe()
            computing.place(asked)
            placed: Any = computing.training(asked)
            for part in (placed.validate, placed.calibrate, placed.step):
                part(IMAGES, TARGETS)
            allowed = (precision == "tf32",) * 2
            assert seen == {"validate": (False, False), "calibrate": (False, False), "step": allowed}
    finally:
        Computing(CPU).place(recipe())


def test_a_job_computes_as_its_spec_says(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asked(Exception):
        pass

    def here(arithmetic: Arithmetic) -> None:
        raise Asked(arithmetic)

    monkeypatch.setattr(Computing, "here", here)
    for spec, expected in (
        ({}, PLAIN),
        ({"arithmetic": {"precision": "bf16"}}, Arithmetic(precision="bf16")),
        ({"arithmetic": Compute(compile=True).changed}, Arithmetic(compile=True)),
    ):
        job: Any = SimpleNamespace(threads=1, spec=spec)
        recipe: Any = None
        with pytest.raises(Asked) as asked:
            driver.train_recipe(recipe, job, get_task("classification"), seed=0)
        assert asked.value.args == (expected,)


@pytest.mark.parametrize("other", [{"gpus": 2}, {"micro_batch": 4}])
def test_parts_of_a_batch_are_not_compiled(other: dict[str, int]) -> None:
    assert Compute(gpus=2, micro_batch=4).changed == {}
    with pytest.raises(ValidationError, match="compile is for whole batches in one process: remove it, or gpus"):
        Compute(compile=True, **other)
