"""What serving several tasks at once costs: one payload and one encoder where the device half is the same for all.

A device half that knows nothing of the task (a codec, or an encoder frozen after its training on another task) sends
once, and every server half answers from the same bytes (the setting of Ladon, Matsubara et al., WACV 2025). A device
half of its own for each task sends once per task.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from sc2.report.columns import QUALITY
from sc2.report.series import Tables

_RUN = ["method", "point", "seed"]
_SUMS = {
    "payload_bytes": "payload_bytes_mean",
    "encoder_macs": "encoder_macs",
    "encoder_param_bytes": "encoder_param_bytes",
}


def rows(group: str, benchmarks: Sequence[Tables]) -> list[dict[str, Any]]:
    """Return one row per method, point and seed that all benchmarks of a group have, in the first one's order.

    `…_together` counts each device half once, by the benchmark where it costs most; `…_separately` counts one per task.
    """
    return list(_rows(group, benchmarks))


def _rows(group: str, benchmarks: Sequence[Tables]) -> Iterator[dict[str, Any]]:
    indexed = [tables.rate_quality.set_index(_RUN) for tables in benchmarks]
    for key in indexed[0].index:
        if not all(key in table.index for table in indexed):
            continue
        runs = [table.loc[key] for table in indexed]
        yield {
            **{"group": group, "method": key[0], "method_title": runs[0]["method_title"]},
            **{"point": key[1], "seed": key[2], "tasks": len(runs)},
            "device_models": len({run["device_model"] for run in runs}),
            **{name: value for short, column in _SUMS.items() for name, value in _sums(short, column, runs).items()},
            **_qualities(benchmarks, runs),
        }


def _sums(short: str, column: str, runs: Sequence[pd.Series]) -> dict[str, float]:
    largest: dict[str, float] = {}
    for run in runs:
        largest[run["device_model"]] = max(largest.get(run["device_model"], 0.0), float(run[column]))
    return {
        f"{short}_together": sum(largest.values()),
        f"{short}_separately": sum(float(run[column]) for run in runs),
    }


def _qualities(benchmarks: Sequence[Tables], runs: Sequence[pd.Series]) -> dict[str, float | None]:
    qualities: dict[str, float | None] = dict.fromkeys((quality.primary for quality in QUALITY.values()), None)
    for tables, run in zip(benchmarks, runs, strict=True):
        qualities[tables.quality.primary] = float(run[tables.quality.primary])
    return qualities
