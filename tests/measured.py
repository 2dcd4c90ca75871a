"""Measurements as the stages before `make_tables` write them: rows per image."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def write_samples(
    path: Path, top1: float, size: float | Sequence[int], images: int = 200, **columns: Sequence[Any]
) -> Path:
    """Write rows of a classifier that has the share `top1` (%) of the images right, each of `size` bytes or its own.

    It errs on the last images, so that a better one errs on a part of them.
    """
    right = np.arange(images) < round(images * top1 / 100)
    rows: dict[str, Any] = {"id": [f"test/{number}" for number in range(images)], "payload_bytes": size}
    rows |= {"label": np.arange(images) % 10, "top1_correct": right, "top5_correct": True, "predicted": 0}
    pd.DataFrame({**rows, **columns}).to_parquet(path, index=False)
    return path


def sample_inputs(
    folder: Path, summaries: Sequence[Mapping[str, Any]], teachers: Sequence[Mapping[str, Any]], images: int = 200
) -> dict[str, Path | list[Path]]:
    """Write rows that fit the summaries of classifiers and of their teachers; return them as inputs of the stage.

    What a summary lacks, or has wrong on purpose, is 0 in its rows.
    """

    def number(values: Mapping[str, Any], key: str) -> float:
        value = values.get(key)
        return value if isinstance(value, int | float) and np.isfinite(value) else 0.0

    samples = [
        write_samples(
            folder / f"samples{position}.parquet", number(one, "top1_pct"), number(one, "payload_bytes_mean"), images
        )
        for position, one in enumerate(summaries)
    ]
    of_teachers = [
        write_samples(folder / f"teacher{position}.parquet", number(one, "top1_pct"), 0, images)
        for position, one in enumerate(teachers)
    ]
    return {"samples": samples, "teacher_samples": of_teachers}
