"""How a training computes on the machine at hand, all of which is decided here.

That is: device, memory format, numbers, compiled networks, and the switches of the library. With `bf16`, decoders and
the stages of networks compute in bfloat16 while a step runs, trained or frozen, and return float32. All else is
float32: weights, gradients and optimisers; encoders, because what they return is rounded to whole symbols, and above
128 bfloat16 has no halves; entropy models and bits, whose likelihoods are differences of nearly equal numbers; losses,
which are sums over a batch. With `compile` the same networks are compiled. Validation, calibration and what is saved
are always plain float32.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor, nn

from sc2.backbones.base import StagedModel
from sc2.errors import ConfigError
from sc2.training.arithmetic import PLAIN, Arithmetic
from sc2.training.recipe import Recipe, Terms

DECODERS = ("decoder", "g_s")
"""Names of decoders in networks: that of every split, and CompressAI's."""
_MOST_COMPILED = 256
"""Torch compiles the same function only so often; a stage's is that of every other chain of layers."""


@dataclass(frozen=True)
class Computing:
    """What is used of a machine.

    Attributes:
        device: Where weights and batches are.
        arithmetic: In what numbers a step computes, and how.
        backend: What compiles (`torch.compile`).
    """

    device: torch.device
    arithmetic: Arithmetic = PLAIN
    backend: str | Callable[..., Any] = "inductor"

    @classmethod
    def here(cls, arithmetic: Arithmetic) -> Self:
        """Return what this process uses: its GPU, if it has one.

        Raises:
            ConfigError: It cannot compute that way.
        """
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        if arithmetic.precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            name = torch.cuda.get_device_name()
            raise ConfigError(f"compute.precision is bf16, which {name} has no arithmetic for: remove the key")
        if arithmetic.compile:
            _require_compilers(device)
        return cls(device, arithmetic)

    @property
    def on_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.device.type == "cuda"

    @property
    def memory_format(self) -> torch.memory_format:
        """How images and features lie in memory; no result depends on it by more than rounding.

        Channels last is what tensor cores compute in, and what small convolutions are fastest in on a processor
        (docs/performance.md); a GPU without them would convert every layer's input.
        """
        plain = self.on_gpu and self.arithmetic.precision == "float32"
        return torch.contiguous_format if plain else torch.channels_last

    def place(self, recipe: Recipe) -> None:
        """Move a recipe's modules to where they are trained, and set the library's switches for this process."""
        # Two trainings of the same job take the same algorithms: they are chosen by rule, not by the clock.
        torch.backends.cudnn.benchmark = False
        _allow_tf32(self.arithmetic.precision == "tf32")
        for module in (recipe.model, *recipe.frozen):
            module.to(self.device).to(memory_format=self.memory_format)

    def images(self, images: Tensor) -> Tensor:
        """Return images [B, 3, H, W] on the device as networks take them."""
        return images.contiguous(memory_format=self.memory_format)

    def training(self, recipe: Recipe) -> Recipe:
        """Return a recipe whose steps compute as asked for; the given one is not changed, and shares its modules."""
        if not self.arithmetic.changed:
            return recipe
        calibrate = recipe.calibrate
        return replace(
            recipe,
            step=self._step(recipe),
            validate=_in_float32(recipe.validate),
            calibrate=None if calibrate is None else _in_float32(calibrate),
        )

    def _step(self, recipe: Recipe) -> Callable[[Tensor, Any], Terms]:
        if self.arithmetic.precision != "bf16" and not self.arithmetic.compile:
            return recipe.step
        found = networks(recipe)
        instead = [self._forward(module.forward) for module in found]

        def step(images: Tensor, targets: Any) -> Terms:
            with _instead(found, instead):
                return recipe.step(images, targets)

        return step

    def _forward(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """Return what a network runs in a step instead of its own function."""
        compiled = _compiler(self.backend)(forward) if self.arithmetic.compile else forward
        if self.arithmetic.precision != "bf16":
            return compiled

        def coarse(*inputs: Any) -> Any:
            with torch.autocast(self.device.type, torch.bfloat16):
                outputs = compiled(*inputs)
            return _widened(outputs)

        return coarse


def networks(recipe: Recipe) -> list[nn.Module]:
    """Return the networks of a recipe that may compute coarsely or compiled: decoders and stages, each once."""
    found: dict[int, nn.Module] = {}
    for root in (recipe.model, *recipe.trained, *recipe.frozen):
        for module in root.modules():
            children = dict(module.named_children())
            own = list(module.stages.values()) if isinstance(module, StagedModel) else []
            own += [children[name] for name in DECODERS if name in children]
            found |= {id(network): network for network in own}
    return list(found.values())


@contextmanager
def _instead(modules: Sequence[nn.Module], forwards: Sequence[Callable[..., Any]]) -> Iterator[None]:
    """Let modules run other functions; their hooks see what these return."""
    for module, forward in zip(modules, forwards, strict=True):
        module.forward = forward
    try:
        yield
    finally:
        for module in modules:
            del module.forward  # the class's is what is left


def _widened(outputs: Any) -> Any:
    """Return what a network returned, a tensor or tensors by name, in float32."""
    if isinstance(outputs, dict):
        return {name: _widened(output) for name, output in outputs.items()}
    return outputs.float() if isinstance(outputs, Tensor) else outputs


def _in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        before = torch.backends.cudnn.allow_tf32
        _allow_tf32(False)
        try:
            return function(*arguments)
        finally:
            _allow_tf32(before)

    return run


def _allow_tf32(allowed: bool) -> None:
    """Let a GPU round the factors of float32 products to 10 bits, or not."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def _compiler(backend: str | Callable[..., Any]) -> Callable[..., Any]:
    """Return what compiles a network's function."""
    from torch import _dynamo, _inductor

    _dynamo.config.recompile_limit = _MOST_COMPILED
    # Random numbers as without it, and no more cores than the job has.
    _inductor.config.fallback_random = True
    _inductor.config.compile_threads = torch.get_num_threads()
    return partial(torch.compile, backend=backend)


def _require_compilers(device: torch.device) -> None:
    """Check that there is what torch compiles with.

    Raises:
        ConfigError: There is not.
    """
    default = "clang++" if sys.platform == "darwin" else "g++"
    compiler = os.environ.get("CXX", default)
    missing = [] if shutil.which(compiler) else [f"a C++ compiler ({compiler})"]
    if device.type == "cuda" and importlib.util.find_spec("triton") is None:
        missing.append("the package triton")
    if missing:
        raise ConfigError(f"compute.compile needs {' and '.join(missing)} here: install it, or remove the key")
