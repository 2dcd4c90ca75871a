"""Stage `evaluate_teacher`: the teacher on the uncompressed test images, drawn as a line in every figure."""

import json

import pandas as pd
import torch

from sc2.backbones.teacher import TeacherCheckpoint, teacher_model
from sc2.checkpoint import load_checkpoint
from sc2.data.geometry import nominal_size
from sc2.data.normalise import normalise, to_batch
from sc2.data.spec import InputSpec
from sc2.data.store import SampleStore
from sc2.job import RunningJob
from sc2.measure.macs import count_macs
from sc2.measure.size import parameter_count
from sc2.runs.answers import Answers
from sc2.tasks import get_task


def run(job: RunningJob) -> None:
    """Write one row per test image, and the quality over them, parameters and MACs of the teacher."""
    torch.set_num_threads(job.threads)
    teacher = TeacherCheckpoint.of(load_checkpoint(job.input("teacher"), "teacher"))
    model = teacher_model(teacher)
    store = SampleStore(job.input("index"), job.input("test"), "test")
    spec = InputSpec.model_validate(job.spec["input"])
    task, size = get_task(job.spec["task"]), nominal_size(spec)
    with torch.no_grad():
        answers = Answers(task, store, spec, len(teacher.classes), model)
        for index in range(len(store)):
            answers.receive(index, normalise(to_batch(answers.image(index)), spec))
        answers.finish()
        macs = count_macs(model, torch.zeros(1, 3, size[1], size[0]))
    ids = [sample.id for sample in store.samples]
    pd.DataFrame({"id": ids, **answers.columns()}).to_parquet(job.outputs["samples"], index=False)
    result = {
        "benchmark": job.keys["benchmark"],
        "task": task.name,
        "teacher": teacher.backbone.name,
        "seed": job.keys["seed"],
        "record_id": job.record_id,
        "images": len(store),
        **answers.scorer.summary(),
        "params": parameter_count(model),
        "macs": macs,
    }
    job.outputs["evaluation"].write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
