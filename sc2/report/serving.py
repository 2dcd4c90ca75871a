"""What serving several tasks at once costs: one payload where device half and size of the input are the same.

A device half that knows nothing of the task (a codec, or an encoder frozen after its training on another task) sends
once, and every server half answers from the same bytes (the setting of Ladon, Matsubara et al., WACV 2025). It sends
once more for a task whose quality is measured on images of another size. A device half of its own for each task sends
once per task.
"""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from sc2.report.columns import QUALITY
from sc2.report.series import Tables

_RUN = ["method", "point", "seed"]
_PER_PAYLOAD = {"payload_bytes": "payload_bytes_mean", "encoder_macs": "encoder_macs"}
_PER_DEVICE = {"encoder_param_bytes": "encoder_param_bytes"}


def rows(group: str, benchmarks: Sequence[Tables], inputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per method, point and seed that all benchmarks of a group have, in the first one's order.

    `…_together` counts bytes and work once per payload, which is a device half at an input, and parameters once per
    device half, each by the benchmark where it costs most; `…_separately` counts one per task.

    Args:
        group: Name of the group.
        benchmarks: Tables of its benchmarks.
        inputs: How an image becomes the input of each benchmark's network; where it is the same, one payload serves.
    """
    return list(_rows(group, benchmarks, [repr(sorted(one.items())) for one in inputs]))


def _rows(group: str, benchmarks: Sequence[Tables], inputs: Sequence[str]) -> Iterator[dict[str, Any]]:
    indexed = [tables.rate_quality.set_index(_RUN) for tables in benchmarks]
    for key in indexed[0].index:
        if not all(key in table.index for table in indexed):
            continue
        runs = [table.loc[key] for table in indexed]
        devices = [run["device_model"] for run in runs]
        payloads = list(zip(devices, inputs, strict=True))
        yield {
            **{"group": group, "method": key[0], "method_title": runs[0]["method_title"]},
            **{"point": key[1], "seed": key[2], "tasks": len(runs)},
            **{"device_models": len(set(devices)), "payloads": len(set(payloads))},
            **_sums(_PER_PAYLOAD, payloads, runs),
            **_sums(_PER_DEVICE, devices, runs),
            **_qualities(benchmarks, runs),
        }


def _sums(columns: Mapping[str, str], shared: Sequence[Hashable], runs: Sequence[pd.Series]) -> dict[str, float]:
    """Return the sums of some columns over runs, and over the largest of those that share."""
    sums: dict[str, float] = {}
    for short, column in columns.items():
        largest: dict[Hashable, float] = {}
        for key, run in zip(shared, runs, strict=True):
            largest[key] = max(largest.get(key, 0.0), float(run[column]))
        sums[f"{short}_together"] = sum(largest.values())
        sums[f"{short}_separately"] = sum(float(run[column]) for run in runs)
    return sums


def _qualities(benchmarks: Sequence[Tables], runs: Sequence[pd.Series]) -> dict[str, float | None]:
    qualities: dict[str, float | None] = dict.fromkeys((quality.primary for quality in QUALITY.values()), None)
    for tables, run in zip(benchmarks, runs, strict=True):
        qualities[tables.quality.primary] = float(run[tables.quality.primary])
    return qualities
