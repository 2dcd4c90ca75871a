"""Stage `train`: one phase of one run."""

from typing import Any

import torch

from sc2.checkpoint import load_checkpoint, load_phase, save_atomically
from sc2.job import RunningJob
from sc2.methods import get_method
from sc2.sweep import SweepJob
from sc2.tasks.base import Task
from sc2.training.driver import train_recipe
from sc2.training.processes import in_processes, is_first
from sc2.training.recipe import Recipe
from sc2.training.start import take_common


@in_processes
def run(job: RunningJob) -> None:
    """Train one phase and write its checkpoint (`method`, `phase`, `state`) and its history.

    It starts from the weights in `previous`, if any: those of the phase before or, in a chain of operating points, of
    the point before. Of those of another method (`first_from`) it takes the parts that both networks have. An encoder
    of another benchmark (`encoder`) is that of this point all the same. An interrupted training resumes from its own
    state instead. The points of a sweep (`SweepJob`) are trained on the same batches, up to states from which their
    own jobs go on to their results.
    """
    teacher = load_checkpoint(job.input("teacher"), "teacher")
    recipe, task = _begun(job, teacher)
    sweep = job.sweep if isinstance(job, SweepJob) else ()
    others = ((_begun(other, teacher)[0], other) for other in sweep)
    train_recipe(recipe, job, task, seed=int(job.keys["seed"]), others=others)
    content = {"kind": "phase", "method": job.keys["method"], "phase": job.keys["phase"]}
    if is_first():
        save_atomically({**content, "state": recipe.model.state_dict()}, job.outputs["checkpoint"])


def _begun(job: RunningJob, teacher: dict[str, Any]) -> tuple[Recipe, Task]:
    """Return the recipe of a job with the weights that it starts from, and its task."""
    method = get_method(job.keys["method"])
    encoders = [load_phase(path, job.keys["method"]) for path in job.input_list("encoder")]
    context = method.context(
        job.spec["arch"],
        job.keys["point"],
        job.spec["input"],
        teacher,
        encoders[0] if encoders else None,
    )
    params = method.phase_params(job.keys["phase"], job.spec["phase"])
    # Initial weights depend on the seed only, not on what ran earlier in this process.
    torch.manual_seed(int(job.keys["seed"]))
    recipe = method.training(params, context)
    for path in job.input_list("previous"):
        first_from = job.spec.get("first_from")
        if first_from is None:
            recipe.model.load_state_dict(load_phase(path, job.keys["method"]))
        else:
            take_common(recipe.model, load_phase(path, first_from))
        for encoder in encoders:
            method.reuse_encoder(recipe.model, encoder)
    return recipe, context.task
