"""What choosing a device half per image gains over the best fixed one, on a recorded trace of bandwidth.

`traces/tram.csv`: throughput of a phone on a tram in Oslo (H. Riiser et al., Commute path bandwidth traces from 3G
networks, MMSys 2013), as prepared for Pensieve (github.com/hongzimao/pensieve, norway_tram_1). It was measured down to
the phone and stands for the way up here. Bytes and answers are those of the evaluation's test images, image by image;
times of the halves are those of the latency jobs.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sc2.device.adaptive import Channel, Option, choose

TRACE = Path(__file__).parent / "traces" / "tram.csv"
RTT_MS = 70.0
PERIOD_S = 0.5
"""Time between two images."""
DEADLINES_MS = (85.0, 100.0, 120.0, 150.0, 200.0, 300.0)


@dataclass(frozen=True)
class Candidate:
    """A device half and what it gives for each image.

    Attributes:
        name: Method and operating point.
        num_bytes: Bytes of each container, [images].
        right: Whether each answer is right, bool [images].
        device_ms: Encoding.
        server_ms: Answering.
        local: Whether the device has the answer itself.
    """

    name: str
    num_bytes: NDArray[np.float64]
    right: NDArray[np.bool_]
    device_ms: float
    server_ms: float
    local: bool = False

    def latency_ms(self, image: int, mbit_s: float) -> float:
        """How long an image takes at a rate."""
        if self.local:
            return self.device_ms
        return self.device_ms + 8 * self.num_bytes[image] / mbit_s / 1000 + RTT_MS + self.server_ms


def read_trace(path: Path = TRACE) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times (s) and the rates (Mbit/s) that hold from them on."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(float(row["time_s"]), float(row["mbit_s"])) for row in csv.DictReader(file)]
    times, rates = np.array(rows).T
    return times, rates


def rates_of(count: int, times: NDArray[np.float64], rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rate at each image, the trace again and again."""
    at = np.arange(count) * PERIOD_S % times[-1]
    return rates[np.searchsorted(times, at, side="right") - 1]


def fixed(candidate: Candidate, rates: NDArray[np.float64], deadline_ms: float) -> float:
    """Return the share of images that are answered rightly and in time, in percent."""
    in_time = [candidate.latency_ms(image, rate) <= deadline_ms for image, rate in enumerate(rates)]
    return 100 * float(np.mean(candidate.right[: len(rates)] & np.array(in_time)))


def adaptive(
    candidates: Sequence[Candidate], rates: NDArray[np.float64], deadline_ms: float
) -> tuple[float, list[int]]:
    """Return the same share when the half is chosen per image, and how often each one was.

    Args:
        candidates: The most accurate first.
        rates: Rate at each image (Mbit/s), which the chooser does not know.
        deadline_ms: From the image to its answer.
    """
    channel, chosen, good = Channel(), [0] * len(candidates), 0
    options = [Option(float(each.num_bytes[0]), each.device_ms, each.local) for each in candidates]
    for image, rate in enumerate(rates):
        index = choose(options, channel, deadline_ms)
        candidate = candidates[index]
        took = candidate.latency_ms(image, rate)
        good += bool(candidate.right[image]) and took <= deadline_ms
        chosen[index] += 1
        options[index].num_bytes = float(candidate.num_bytes[image])
        if not candidate.local:
            channel.add(options[index].num_bytes, took - candidate.device_ms)
    return 100 * good / len(rates), chosen


def candidates_of(results: Path, benchmark: str, chosen: Sequence[tuple[str, str]]) -> list[Candidate]:
    """Return candidates from the results of a run, the most accurate first."""
    found = []
    for method, point in chosen:
        samples = pd.read_parquet(results / "evaluate" / benchmark / method / point / "seed0" / "samples.parquet")
        timed = json.loads((results / "latency" / benchmark / method / "latency.json").read_bytes())
        [ms] = [run for run in timed["runs"] if run["point"] == point]
        found.append(
            Candidate(
                f"`{method}` {point}",
                samples["container_bytes"].to_numpy(float),
                samples["top1_correct"].to_numpy(bool),
                ms["encoder_ms_p50"] + ms["coder_encode_ms_p50"],
                ms["coder_decode_ms_p50"] + ms["server_ms_p50"],
                method == "local_model",
            )
        )
    return sorted(found, key=lambda each: -each.right.mean())


def report(candidates: Sequence[Candidate]) -> Iterator[str]:
    """Yield the table, as Markdown."""
    rates = rates_of(len(candidates[0].right), *read_trace())
    yield "| deadline, ms | best fixed choice | right and in time, % | chosen per image, % | gain, points |"
    yield "|---:|---|---:|---:|---:|"
    for deadline in DEADLINES_MS:
        shares = {each.name: fixed(each, rates, deadline) for each in candidates}
        best = max(shares, key=lambda name: shares[name])
        share, _ = adaptive(candidates, rates, deadline)
        yield f"| {deadline:g} | {best} | {shares[best]:.1f} | {share:.1f} | {share - shares[best]:+.1f} |"
