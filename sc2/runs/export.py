"""Stage `export`: the device half and the server half of a run as separate files, and what they cost.

The coding tables are rebuilt from the trained density here, at the very end, and never loaded from a checkpoint, so
they cannot be stale.
"""

import json
from typing import Any

import numpy as np

from sc2.checkpoint import load_checkpoint, load_phase, save_atomically
from sc2.data.geometry import nominal_size
from sc2.job import RunningJob
from sc2.measure.macs import count_macs
from sc2.measure.size import parameter_bytes, parameter_count, state_bits, table_bytes
from sc2.methods import get_method
from sc2.runs.halves import device_fingerprint
from sc2.split.method import Export, Method

BITS_PER_KB = 8 * 1024


def run(job: RunningJob) -> None:
    """Write both halves and their costs."""
    method = get_method(job.keys["method"])
    teacher = load_checkpoint(job.input("teacher"), "teacher")
    checkpoints = [load_phase(path, job.keys["method"]) for path in job.input_list("checkpoint")]
    context = method.context(job.spec["arch"], job.keys["point"], job.spec["input"], teacher)
    exported = method.export(context, checkpoints[0] if checkpoints else None)
    name, device, server = job.keys["method"], exported.device.plain(), exported.server.plain()
    fingerprint = device_fingerprint(name, device, context.input)
    common = {
        "method": name,
        "point": job.keys["point"],
        "input": context.input.model_dump(mode="json"),
        "fingerprint": fingerprint,
        "task": context.task.name,
    }
    save_atomically({"kind": "device", **common, "half": device}, job.outputs["device"])
    content = {"kind": "server", **common, "classes": context.teacher.classes, "half": server}
    save_atomically(content, job.outputs["server"])
    costs = {"device_model": fingerprint, **count_costs(method, exported, nominal_size(context.input))}
    job.outputs["costs"].write_text(json.dumps(costs, indent=2) + "\n", encoding="utf-8")


def count_costs(method: Method[Any], exported: Export, size: tuple[int, int]) -> dict[str, Any]:
    """Count parameters, table bytes and multiply-accumulates of both halves for one image of a width and height.

    The image is black: a detector's box head runs on the proposals that it finds in that image.

    `encoder_table_bytes` are tables derived from the entropy model (coding tables, medians), which the device needs but
    which are not parameters; `sc2bench_encoder_kb` is the encoder size by upstream's rule, KB of 1024 bytes
    (docs/papers.md#encoder-size).
    """
    device, server = method.load_device(exported.device.plain()), method.load_server(exported.server.plain())
    pixels = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    received = server.decode(device.encode(pixels))
    network = device.network
    return {
        "encoder_params": parameter_count(network) if network is not None else 0,
        "encoder_param_bytes": parameter_bytes(network) if network is not None else 0,
        "encoder_table_bytes": table_bytes(device.tables),
        "sc2bench_encoder_kb": state_bits(exported.upstream_encoder_state) / BITS_PER_KB,
        "encoder_macs": count_macs(lambda: device.analyse(pixels)) if network is not None else 0,
        "latent_shape": list(received.shape[1:]),
        "server_params": parameter_count(server.network),
        "server_macs": count_macs(lambda: server.answer(received)),
    }
