"""`python -m tests.performance.sweeps`: a step of several points, shared and separate, as a Markdown table.

Five points of the Entropic Student, with the network of the default and that of the papers, in both phases: the median
of a few steps on the same images, taken in turn. One thread's processor time without reading the images. In
docs/performance.md.
"""

import os
import statistics
import time
from pathlib import Path
from typing import Any

from sc2.config.load import load_config
from sc2.system.surroundings import settle
from tests.conftest import ROOT

NETWORKS = (
    ("config/config.yaml", "photodigits_small_resnet", 16, 7),
    ("config/paper.yaml", "ilsvrc2012_resnet50", 4, 2),
)
POINTS = 5


def main() -> None:
    """Measure and print."""
    settle(os.environ, threads=1)
    os.chdir(ROOT)
    # After the number of threads is set: these import torch.
    import torch

    from sc2.commands.untrained import untrained_recipe
    from sc2.data.geometry import nominal_size
    from sc2.training.computing import Computing
    from sc2.training.shares import WHOLE
    from tests.performance.measure import in_turn

    torch.set_num_threads(1)
    computing = Computing(torch.device("cpu"))

    def compared(path: str, name: str, batch: int, repeats: int, phase: str) -> str:
        torch.manual_seed(0)
        config = load_config(Path(path))
        benchmark = config.benchmarks[name]
        method, of = benchmark.methods["entropic_student"], config.benchmarks.__getitem__
        recipes = [untrained_recipe(of, benchmark, method, phase, point) for point in method.points[:POINTS]]
        for recipe in recipes:
            recipe.share_teacher(recipes[0])
            recipe.set_modes()
            computing.place(recipe)
        optimizers = [recipe.optimizer(recipe.trained_parameters()) for recipe in recipes]
        width, height = nominal_size(benchmark.config.input)
        images = computing.images(torch.randn(batch, 3, height, width))
        targets = torch.zeros(batch, dtype=torch.int64)

        def steps(batches: list[Any]) -> float:
            start = time.process_time()
            for recipe, optimizer, own in zip(recipes, optimizers, batches, strict=True):
                optimizer.zero_grad(set_to_none=True)
                WHOLE.step(recipe, own, targets)
                optimizer.step()
            return time.process_time() - start

        # For the teacher, the same batch is the same tensor.
        together, apart = [images] * POINTS, [images.clone() for _ in recipes]
        timed = in_turn("a step of every point", lambda: steps(together), lambda: steps(apart), repeats, 1)
        shared, separate = statistics.median(timed.ours), statistics.median(timed.theirs)
        numbers = f"{shared:.3f} | {separate:.3f} | {separate / shared:.2f}"
        return f"| {name}, {batch} | {phase} | {width} × {height} | {numbers} |"

    print("| benchmark, batch | phase | pixels | shared (s) | separate (s) | times as fast |")
    print("|---|---|---:|---:|---:|---:|")
    for network in NETWORKS:
        for phase in ("distill", "finetune"):
            print(compared(*network, phase), flush=True)


if __name__ == "__main__":
    main()
