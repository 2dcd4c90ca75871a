"""Stage `evaluate_teacher`: the reference model on the uncompressed test images, the line in every figure."""

import json

import numpy as np
import torch

from sc2.backbones.base import build_backbone
from sc2.data.normalise import normalise, to_batch
from sc2.data.store import SampleStore
from sc2.data.transform import prepare_image
from sc2.halves import load_checkpoint
from sc2.job import RunningJob
from sc2.measure.macs import count_macs
from sc2.measure.quality import accuracy_pct, topk_correct
from sc2.measure.size import parameter_count

BATCH = 100


def run(job: RunningJob) -> None:
    """Measure accuracy, parameters and MACs of the reference model."""
    torch.set_num_threads(job.threads)
    content = load_checkpoint(job.input("teacher"), "teacher")
    model = build_backbone(content["backbone"], len(content["classes"]))
    model.load_state_dict(content["state"])
    model.eval()
    store = SampleStore(job.input("index"), job.input("test"), "test")
    spec = job.spec["input"]
    logits = []
    with torch.no_grad():
        for start in range(0, len(store), BATCH):
            chunk = range(start, min(start + BATCH, len(store)))
            pixels = torch.cat([to_batch(np.asarray(prepare_image(store.image(i), spec))) for i in chunk])
            logits.append(model(normalise(pixels, spec)))
    answers, labels = torch.cat(logits), torch.tensor(store.labels)
    result = {
        "benchmark": job.keys["benchmark"],
        "task": job.spec["task"],
        "teacher": content["backbone"]["name"],
        "record_id": job.record_id,
        "images": len(store),
        "top1_pct": accuracy_pct(topk_correct(answers, labels, 1)),
        "top5_pct": accuracy_pct(topk_correct(answers, labels, 5)),
        "params": parameter_count(model),
        "macs": count_macs(model, torch.zeros(1, 3, spec["crop"], spec["crop"])),
    }
    job.outputs["evaluation"].write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
