"""`sc2 plan`: what a run file asks for, before anything is submitted: runs, trainings, time, storage, what is shared.

Times come from measurements: of steps on this or another machine (`--measured`), or of trainings that have been done;
where there are none, from the operations of a step, if it is said how many a device does in a second (`--tflops`).
Where a number needs something that is not known, the table says so.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sc2.commands.aligned import aligned
from sc2.commands.measured import Measured, folder_of, machine, recorded_seconds, typical
from sc2.config.resolved import Config
from sc2.data.store import read_meta
from sc2.errors import ConfigError, DataError
from sc2.jobs.order import Order
from sc2.jobs.plan import runs, skipped
from sc2.jobs.workload import Work, exports, workload

UNKNOWN = "?"
_HOUR, _GB, _TERA = 3600.0, 1e9, 1e12


@dataclass(frozen=True)
class Amount:
    """A sum of hours or gigabytes, and of how many parts it is not known."""

    value: float = 0.0
    unknown: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.value + other.value, self.unknown + other.unknown)

    def __str__(self) -> str:
        if not self.unknown:
            return f"{self.value:.3g}" if self.value < 100 else f"{self.value:.0f}"
        return UNKNOWN if not self.value else f"{Amount(self.value)} + {UNKNOWN}"


NOTHING = Amount()


class Plan:
    """The parts of the summary."""

    def __init__(
        self,
        config: Config,
        results: Path,
        measured: Measured | None,
        given: Mapping[str, int] | None = None,
        tflops: float | None = None,
    ) -> None:
        """Take what is known.

        Args:
            config: The configuration.
            results: Folder of the results, for prepared data sets and trainings that have been done.
            measured: Step times, operations and sizes.
            given: Training images by data set, for those that are not prepared.
            tflops: Operations, in 10¹² per second, of a device that the rest is trained on; None to leave it unknown.

        Raises:
            ConfigError: Images are given for a data set that is not used.
        """
        unused = sorted(set(given or {}) - set(config.datasets))
        if unused:
            raise ConfigError(f"--images {unused[0]}: no such data set here; there are: {', '.join(config.datasets)}")
        self.config, self.results, self.measured, self.tflops = config, results, measured, tflops
        self.counted = f"a device that does {tflops or 0:g} TFLOP/s"
        self.works = workload(config)
        self.images = {name: _images(results, name, given or {}) for name in config.datasets}
        self.seconds = {work.key + str(work.epochs): self._seconds(work) for work in self.works}

    def _seconds(self, work: Work) -> tuple[float, str] | None:
        """Return the seconds of one of the trainings and the machine they were measured on, None if unknown."""
        step = self.measured.steps.get(work.key, {}) if self.measured is not None else {}
        images = self.images[self.config.benchmarks[work.benchmark].config.dataset]
        if self.measured is not None and "seconds" in step and images is not None:
            return work.steps(images) * step["seconds"], machine(self.measured.hardware)
        done = typical(recorded_seconds(self.config, work, self.results))
        if done is not None or self.tflops is None or images is None or "image_flops" not in step:
            return done
        operations = work.steps(images) * work.batch_size * step["image_flops"]
        return operations / (self.tflops * _TERA), self.counted

    def hours(self, works: Sequence[Work]) -> Amount:
        """Return the hours of trainings on one GPU or core."""
        total = NOTHING
        for work in works:
            known = self.seconds[work.key + str(work.epochs)]
            count = len(work.runs) if work.epochs else 0
            total += Amount(0.0, count) if known is None else Amount(count * known[0] / _HOUR)
        return total

    def storage(self, benchmark: str, method: str) -> Amount:
        """Return the gigabytes of the checkpoints and exports of a method on a benchmark."""
        total = NOTHING
        for work in self.works:
            if (work.benchmark, work.method) != (benchmark, method):
                continue
            step = self.measured.steps.get(work.key, {}) if self.measured is not None else {}
            for run in work.runs:
                there = _size(self.results / "train" / folder_of(run) / f"{work.phase}.pt")
                total += _gigabytes(there or step.get("checkpoint_bytes"))
        for name, exported, curve, members in exports(self.config):
            if (name, exported) != (benchmark, method):
                continue
            known = self.measured.export_bytes.get(f"{name}/{exported}/{curve}") if self.measured is not None else None
            for run in members:
                folder = self.results / "export" / folder_of(run)
                halves = [_size(folder / f"{half}.pt") for half in ("device", "server")]
                total += _gigabytes(sum(size or 0 for size in halves) if all(halves) else known)
        return total

    def text(self) -> str:
        """Return the summary."""
        parts = [self._heading(), self._table(), self._tasks(), self._shared(), self._unknown()]
        return "\n\n".join(filter(None, parts))

    def _heading(self) -> str:
        total = sum(1 for name in self.config.benchmarks for _ in runs(self.config, name))
        count = sum(len(work.runs) for work in self.works if work.epochs)
        methods = {method for benchmark in self.config.benchmarks.values() for method in benchmark.methods}
        machines, hours = {known[1] for known in self.seconds.values() if known is not None}, []
        if timed := sorted(machines - {self.counted}):
            hours.append(f"hours: of training on {' or '.join(timed)}, as measured")
        if self.counted in machines:
            hours.append(f"hours: of training on {self.counted}, from the operations of steps that are not timed")
        lines = [
            f"{self.config.path}: {total} runs of {len(methods)} methods on {len(self.config.benchmarks)} benchmarks, "
            f"with {count} trainings",
        ]
        return "\n".join([*lines, *(hours or ["hours: nothing is measured"]), *skipped(self.config)])

    def _table(self) -> str:
        rows = [["benchmark", "method", "points", "runs", "trainings", "epochs", "steps", "hours", "GB"]]
        for name, benchmark in self.config.benchmarks.items():
            for method in benchmark.methods.values():
                works = [work for work in self.works if (work.benchmark, work.method) == (name, method.name)]
                count = sum(len(work.runs) for work in works if work.epochs)
                epochs = sorted({work.epochs for work in works})
                rows.append(
                    [
                        name,
                        method.name,
                        str(len(method.points)),
                        str(sum(1 for _ in runs(self.config, name, method.name))),
                        str(count or "–"),
                        " ".join(map(str, epochs)) if any(epochs) else "–",
                        self._steps(name, works) if count else "–",
                        str(self.hours(works)) if count else "–",
                        str(self.storage(name, method.name)),
                    ]
                )
        return aligned(rows, numbers_from=2)

    def _steps(self, benchmark: str, works: Sequence[Work]) -> str:
        images = self.images[self.config.benchmarks[benchmark].config.dataset]
        return UNKNOWN if images is None else f"{sum(len(work.runs) * work.steps(images) for work in works):,}"

    def _tasks(self) -> str:
        rows = [["task", "runs", "trainings", "hours", "GB"]]
        tasks: dict[str, list[str]] = {}
        for name, benchmark in self.config.benchmarks.items():
            tasks.setdefault(benchmark.config.task, []).append(name)
        tasks["together"] = list(self.config.benchmarks)
        for task, names in tasks.items():
            works = [work for work in self.works if work.benchmark in names]
            storage = NOTHING
            for name in names:
                for method in self.config.benchmarks[name].methods:
                    storage += self.storage(name, method)
            count = sum(1 for name in names for _ in runs(self.config, name))
            trained = sum(len(work.runs) for work in works if work.epochs)
            rows.append([task, str(count), str(trained), str(self.hours(works)), str(storage)])
        return aligned(rows, numbers_from=1)

    def _shared(self) -> str:
        config, lines = self.config, ["shared:"]
        for dataset, count in Counter(b.config.dataset for b in config.benchmarks.values()).items():
            lines.append(f"  data set {dataset}: {count} benchmark{'s' if count > 1 else ''}")
        taken: Counter[str] = Counter()
        for name, benchmark in config.benchmarks.items():
            for method in benchmark.methods.values():
                if method.encoder_from is not None:
                    taken[method.encoder_from] += sum(1 for _ in runs(config, name, method.name))
        lines += [f"  encoders and codecs of {source}: in {count} runs elsewhere" for source, count in taken.items()]
        trained = [name for name, benchmark in config.benchmarks.items() if benchmark.config.teacher.source == "train"]
        lines.append(f"  teachers: {len(config.benchmarks) - len(trained)} fetched, {len(trained)} trained per seed")
        longest = max(Order(config).waiting.values(), default=0)
        lines.append(f"  longest chain: {longest} trainings one after another behind a teacher; the rest is parallel")
        return "\n".join(lines)

    def _unknown(self) -> str:
        lines = []
        missing = [name for name, images in self.images.items() if images is None]
        trains = {self.config.benchmarks[work.benchmark].config.dataset for work in self.works if work.epochs}
        if named := [name for name in missing if name in trains]:
            given = " ".join(f"{name}=COUNT" for name in named)
            lines.append(
                f"  the number of training images of {', '.join(named)}: prepare the data (snakemake data), or give "
                f"it: --images {given}"
            )
        steps = [work for work in self.works if work.epochs]
        untimed = [work for work in steps if self._untimed(work)]
        if untimed:
            lines.append(
                f"  the time of a step, and sizes of files, of {len(untimed)} of {len(steps)} kinds of training: on "
                "the machine that will train, write them with sc2 plan --measure FILE, read them with --measured FILE"
            )
        for key, step in (self.measured.steps if self.measured is not None else {}).items():
            if "problem" in step:
                lines.append(f"  {key}: {step['problem']}")
        if lines:
            lines.append("  reading and cropping images, evaluations, latencies: not part of these hours")
        return "\n".join(["not known:", *lines]) if lines else ""

    def _untimed(self, work: Work) -> bool:
        step = self.measured.steps.get(work.key, {}) if self.measured is not None else {}
        return "seconds" not in step and self.seconds[work.key + str(work.epochs)] is None


def _images(results: Path, dataset: str, given: Mapping[str, int]) -> int | None:
    if dataset in given:
        return given[dataset]
    meta = results / "data" / dataset / "meta.json"
    try:
        return int(read_meta(meta).splits["train"]["images"]) if meta.is_file() else None
    except DataError:  # `sc2 verify` says so; it counts as not prepared
        return None


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _gigabytes(size: int | None) -> Amount:
    return Amount(0.0, 1) if size is None else Amount(size / _GB)
