"""`python -m tests.performance.formats`: a step of the Entropic Student in both memory formats, as a Markdown table.

Forward and backward pass of both phases, with the network of the default and that of the papers, at several sizes: the
median of a few steps, taken in turn. One thread's processor time, or on a GPU, where there is one, the time with each
precision. In docs/performance.md; `sc2.training.computing` decides by it.
"""

import os
import statistics
import time
from pathlib import Path
from typing import Any, Literal

from sc2.config.load import load_config
from sc2.system.surroundings import settle
from tests.conftest import ROOT

NETWORKS = (
    ("config/config.yaml", "photodigits_small_resnet", 16, 7),
    ("config/paper.yaml", "ilsvrc2012_resnet50", 4, 3),
)
SIZES = (64, 112, 224)
PRECISIONS: tuple[Literal["float32", "tf32", "bf16"], ...] = ("float32", "tf32", "bf16")


def main() -> None:
    """Measure and print."""
    settle(os.environ, threads=1)
    os.chdir(ROOT)
    # After the number of threads is set: these import torch.
    import torch

    from sc2.commands.untrained import untrained_recipe
    from sc2.training.arithmetic import Arithmetic
    from sc2.training.computing import Computing
    from tests.performance.measure import in_turn

    torch.set_num_threads(1)
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    formats = (torch.contiguous_format, torch.channels_last)

    def now() -> float:
        if gpu:
            torch.cuda.synchronize()
            return time.perf_counter()
        return time.process_time()

    def step(recipe: Any, images: Any, targets: Any) -> float:
        for parameter in recipe.trained_parameters():
            parameter.grad = None
        start = now()
        recipe.step(images, targets)["loss"].backward()
        return now() - start

    def compared(path: str, name: str, batch: int, repeats: int, phase: str, side: int, computing: Computing) -> str:
        torch.manual_seed(0)
        config = load_config(Path(path))
        benchmark = config.benchmarks[name]
        method, of = benchmark.methods["entropic_student"], config.benchmarks.__getitem__
        recipe = untrained_recipe(of, benchmark, method, phase, method.points[0])
        recipe.set_modes()
        computing.place(recipe)
        asked = computing.training(recipe)
        images = torch.randn(batch, 3, side, side, device=device)
        targets = torch.zeros(batch, dtype=torch.int64, device=device)

        def step_in(format_: torch.memory_format) -> float:
            for module in (recipe.model, *recipe.frozen):
                module.to(memory_format=format_)
            return step(asked, images.contiguous(memory_format=format_), targets)

        timed = in_turn("a step", lambda: step_in(formats[1]), lambda: step_in(formats[0]), repeats, 1)
        plain, last = statistics.median(timed.theirs), statistics.median(timed.ours)
        numbers = f"{plain:.3f} | {last:.3f} | {plain / last:.2f}"
        return f"| {name}, {batch} | {phase} | {side} | {computing.arithmetic.precision} | {numbers} |"

    print("| benchmark, batch | phase | pixels | precision | contiguous (s) | channels last (s) | times as fast |")
    print("|---|---|---:|---|---:|---:|---:|")
    for network in NETWORKS:
        for phase in ("distill", "finetune"):
            for side in SIZES:
                for precision in PRECISIONS if gpu else PRECISIONS[:1]:
                    computing = Computing(device, Arithmetic(precision=precision))
                    print(compared(*network, phase, side, computing), flush=True)


if __name__ == "__main__":
    main()
