"""A step in parts: a batch that processes share, or that is computed a few images at a time, steps as the whole does.

The loss of a batch is a sum over its parts, and so is its gradient. What belongs to the whole batch is kept whole:
random numbers are drawn for all of its images, of which a part takes its own; a batch norm that is trained takes its
statistics over all processes; a mean over pixels counts those of all images. What cannot be divided is refused.

Networks and losses know nothing of it: `Part` watches the functions of torch that they call.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from sc2.errors import ConfigError
from sc2.training.recipe import Recipe, Terms


@dataclass(frozen=True)
class Division:
    """How the steps of a training are computed.

    Attributes:
        processes: Processes that share each batch.
        rank: Which of them this one is.
        micro_batch: Most images that it computes at once; None for no limit.
    """

    processes: int = 1
    rank: int = 0
    micro_batch: int | None = None

    def parts(self, count: int) -> list[range]:
        """Return the images of a batch of `count` that this process computes, in the order in which it does.

        Raises:
            ConfigError: There are fewer images than processes.
        """
        if count < self.processes:
            raise ConfigError(f"a batch of {count} images cannot be shared by {self.processes} processes: lower gpus")
        first, last = (place * count // self.processes for place in (self.rank, self.rank + 1))
        most = self.micro_batch or count
        pieces = math.ceil((last - first) / most)
        edges = [first + place * (last - first) // pieces for place in range(pieces + 1)]
        return [range(*edge) for edge in pairwise(edges)]

    def step(self, recipe: Recipe, images: Tensor, targets: Any) -> Terms:
        """Compute the terms of a batch, images [B, 3, H, W], and add its gradient to that of the parameters.

        Raises:
            ConfigError: The recipe does something that cannot be divided.
        """
        parts = self.parts(len(targets))
        if parts == [range(len(targets))]:
            terms = recipe.step(images, targets)
            terms["loss"].backward()
            return terms
        start, sums = chance(), dict[str, Tensor]()
        for part in parts:
            draw_from(start)
            chosen = slice(part.start, part.stop)
            with Part(part, targets, self.processes if len(parts) == 1 else 0).watching(recipe.model):
                terms = recipe.step(images[chosen], targets[chosen])
            share = len(part) / len(targets)
            terms = {name: value if name in recipe.summed else share * value for name, value in terms.items()}
            terms["loss"].backward()
            sums = {name: value.detach() + sums.get(name, 0) for name, value in terms.items()}
        return self._together(recipe, sums)

    def any_asks(self, asked: bool) -> bool:
        """Return whether any of the processes asks; all of them must call it at the same time."""
        answer = torch.tensor(float(asked), device="cuda" if torch.cuda.is_available() else "cpu")
        distributed.all_reduce(answer, distributed.ReduceOp.MAX)
        return bool(answer.item())

    def _together(self, recipe: Recipe, terms: Terms) -> Terms:
        """Add up terms and gradients over the processes."""
        if self.processes == 1:
            return terms
        gradients = [parameter.grad for parameter in recipe.trained_parameters() if parameter.grad is not None]
        values = torch.cat([*(gradient.flatten() for gradient in gradients), torch.stack(list(terms.values()))])
        distributed.all_reduce(values)
        own = values.split([*(gradient.numel() for gradient in gradients), len(terms)])
        for gradient, total in zip(gradients, own, strict=False):
            gradient.copy_(total.view(gradient.shape))
        return dict(zip(terms, own[-1].unbind(), strict=True))


WHOLE = Division()
"""One process computes the whole batch at once."""


class Part(TorchFunctionMode):
    """While it is entered, torch's functions give the images of a part what they would have in the whole batch.

    Args:
        part: Which images of the batch.
        targets: Targets of the whole batch.
        processes: Processes that compute a part each at the same time; 0 where other parts follow or went before.
    """

    def __init__(self, part: range, targets: Any, processes: int) -> None:
        super().__init__()
        self.part, self.targets, self.processes = part, targets, processes
        self._channels_first = False

    def __torch_function__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        """Call a function of torch, or what stands in for it."""
        name = getattr(func, "__name__", "")
        kwargs = kwargs or {}
        if func is functional.batch_norm:
            return self._batch_norm(*args, **kwargs)
        if func is functional.cross_entropy:
            return self._cross_entropy(*args, **kwargs)
        if name in _DROPPING and func is getattr(functional, name):
            return self._dropped(func, *args, **kwargs)
        if name in _FILLING and func is getattr(Tensor, name):
            whole, own = self._whole(args[0])
            func(whole, *args[1:], **kwargs)
            return args[0].copy_(own(whole))
        if name in _LIKE and func is getattr(torch, name):
            whole, own = self._whole(args[0])
            return own(func(whole, **kwargs))
        if name in _REFUSED:
            raise ConfigError(
                f"this training draws random numbers over whole batches ({name}): run it with gpus: 1 and without "
                "micro_batch"
            )
        return func(*args, **kwargs)

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Enter, for steps of a model."""
        # CompressAI's entropy bottleneck puts channels first, and then all values of a channel in one row.
        bottlenecks = [module for module in model.modules() if _is_bottleneck(module)]
        hooks = [module.register_forward_pre_hook(self._begin) for module in bottlenecks]
        hooks += [module.register_forward_hook(self._end, always_call=True) for module in bottlenecks]
        try:
            with self:
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def _begin(self, *_arguments: Any) -> None:
        self._channels_first = True

    def _end(self, *_arguments: Any) -> None:
        self._channels_first = False

    def _whole(self, tensor: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return an empty tensor like one of this part, but for all images, and what takes the part's values of it."""
        count, whole = len(self.part), len(self.targets)
        chosen = slice(self.part.start, self.part.stop)
        if self._channels_first and tensor.dim() == 3 and tensor.shape[1] == 1:
            channels, pixels = tensor.shape[0], tensor.shape[2] // count
            rows = tensor.new_empty(channels, 1, whole * pixels)
            return rows, lambda drawn: drawn.view(channels, whole, pixels)[:, chosen].reshape(tensor.shape)
        if tensor.dim() == 0 or tensor.shape[0] != count:
            raise ConfigError(
                f"this training draws random numbers of the shape {list(tensor.shape)}, which no image of the "
                f"{count} has for itself: run it with gpus: 1 and without micro_batch"
            )
        # Numbers are drawn in the order of the memory.
        last = tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=_CHANNELS_LAST)
        format_ = _CHANNELS_LAST if last else torch.contiguous_format
        empty = torch.empty((whole, *tensor.shape[1:]), dtype=tensor.dtype, device=tensor.device, memory_format=format_)
        return empty, lambda drawn: drawn[chosen]

    def _dropped(self, function: Any, x: Tensor, p: float, training: bool = True, inplace: bool = False) -> Tensor:
        """Drop the values [B, …] of a part that are dropped in the whole batch."""
        if not training or p == 0:
            return x
        whole, own = self._whole(x)
        kept: Tensor = own(function(whole.fill_(1), p, training))
        return x.mul_(kept) if inplace else x * kept

    def _cross_entropy(self, logits: Tensor, targets: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the mean over a part's targets [B, …], so weighted that its mean over images is that over targets."""
        value = functional.cross_entropy(logits, targets, *args, **kwargs)
        ignored = kwargs.get("ignore_index", -100)
        if kwargs.get("reduction", "mean") != "mean" or not isinstance(self.targets, Tensor):
            return value
        own, whole = (int((each != ignored).sum()) for each in (targets, self.targets))
        return value * (own / whole * len(self.targets) / len(self.part))

    def _batch_norm(
        self,
        x: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """Normalise [B, C, …] with the statistics of the whole batch, which all processes have a part of."""
        if not training:
            return functional.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
        if not self.processes:
            raise ConfigError(
                "this training has batch norms that learn, whose statistics are those of a whole batch: run it "
                "without micro_batch, or with frozen_batch_norm"
            )
        axes, shape = [0, *range(2, x.dim())], [1, -1, *[1] * (x.dim() - 2)]
        count = x.numel() // x.shape[1] // len(self.part) * len(self.targets)
        values = x.float()
        mean = _Sum.apply(values.sum(axes)) / count
        centred = values - mean.view(shape)
        variance = _Sum.apply((centred**2).sum(axes)) / count
        if running_mean is not None and running_var is not None:
            with torch.no_grad():
                running_mean.lerp_(mean, momentum)
                running_var.lerp_(variance * (count / (count - 1)), momentum)
        result = centred * torch.rsqrt(variance + eps).view(shape)
        result = result if weight is None else result * weight.view(shape)
        return (result if bias is None else result + bias.view(shape)).to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum over all processes: what each of them does with it counts in the gradient of every one."""

    @staticmethod
    def forward(_context: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


_CHANNELS_LAST = torch.channels_last
_DROPPING = {"dropout", "dropout1d", "dropout2d", "dropout3d"}
_FILLING = {"uniform_", "normal_", "bernoulli_"}
_LIKE = {"rand_like", "randn_like"}
_REFUSED = {
    *("rand", "randn", "randint", "randint_like", "randperm", "normal", "bernoulli", "multinomial", "poisson"),
    *("random_", "exponential_", "geometric_", "cauchy_", "log_normal_"),
    *("alpha_dropout", "feature_alpha_dropout", "rrelu", "gumbel_softmax", "fractional_max_pool2d"),
}
"""Functions that draw numbers that are not of one image each, or in another way than those above."""


def _is_bottleneck(module: nn.Module) -> bool:
    return any(parent.__name__ == "EntropyBottleneck" for parent in type(module).__mro__)


def chance() -> list[Tensor]:
    """Return where the generators of random numbers are: the processor's, and that of the GPU in use."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if torch.cuda.is_available() else [])]


def draw_from(states: list[Tensor]) -> None:
    """Let random numbers go on from where `chance` has been called."""
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state)
