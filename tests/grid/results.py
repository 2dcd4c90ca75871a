"""How the trials ended, by trial and by the code that they ran."""

import hashlib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from sc2.config.resolved import Config
from sc2.jobs.identity import Code, job
from sc2.jobs.plan import Run, encoder_from, trainings
from tests.conftest import ROOT
from tests.lines import Lines


@dataclass(frozen=True)
class Result:
    """How one trial ended.

    Attributes:
        name: The run, e.g. `ilsvrc2012_resnet50/entropic_student/0.08`; or what was made for several of them.
        of: Hash of the configuration and the code that it ran.
        problem: What went wrong; empty where it passed.
        seconds: Wall-clock time.
        cpu: Processor time, seconds, on which other work on the machine has little influence; 0 where it failed.
        mib: Most memory of the process, MiB; 0 where it failed.
        date: When it ended, ISO 8601 in UTC.
    """

    name: str
    of: str
    problem: str
    seconds: float
    cpu: int
    mib: int
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


class Results:
    """The last result of each trial, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._lines = Lines(path)
        self._last = {row["name"]: Result(**row) for row in self._lines.rows}

    def add(self, result: Result) -> None:
        """Keep a result."""
        self._last[result.name] = result
        self._lines.add(asdict(result))

    def find(self, name: str, of: str) -> Result | None:
        """Return the last result of a trial, None where it was of other code, or there is none."""
        last = self._last.get(name)
        return last if last is not None and last.of == of else None


class Identities:
    """Hashes of what a trial depends on: the ids of its jobs, the files here that make and check it, and the libraries.

    Args:
        config: The run file.
        steps: Steps of each phase.
    """

    def __init__(self, config: Config, steps: int) -> None:
        self._config, self._code = config, Code()
        self._of_run: dict[Run, str] = {}
        own = [Path(__file__).with_name(f"{name}.py") for name in ("layouts", "trial", "weights")]
        self._own = [str(steps), *(path.read_text(encoding="utf-8") for path in (*own, ROOT / "requirements.lock"))]

    def of_data(self, name: str) -> str:
        """Return the hash of a data set."""
        return self._hash([self._id("prepare_data", dataset=name)])

    def of_teacher(self, benchmark: str) -> str:
        """Return the hash of a benchmark's teacher."""
        return self._hash(self._of_teacher(benchmark))

    def of_run(self, run: Run) -> str:
        """Return the hash of a run and of what it takes from others."""
        if run not in self._of_run:
            jobs = [self._id(stage, **vars(run)) for stage in ("export", "evaluate")]
            self._of_run[run] = self._hash([*jobs, *self._of_training(run)])
        return self._of_run[run]

    def _of_teacher(self, benchmark: str) -> list[str]:
        resolved = self._config.benchmarks[benchmark]
        seed = resolved.teacher_seeds(self._config.run)[0]
        fetched = self._id("fetch_teacher", benchmark=benchmark, seed=seed)
        return [fetched, self._id("prepare_data", dataset=resolved.config.dataset)]

    def _of_training(self, run: Run) -> list[str]:
        ids = self._of_teacher(run.benchmark)
        for phase in trainings(self._config, run):
            ids.append(self._id("train", **vars(run), phase=phase))
            for source in encoder_from(self._config, run, phase):
                ids += self._of_training(source)
        return ids

    def _id(self, stage: str, **keys: str) -> str:
        planned = job(self._config, stage, keys, self._code)
        assert planned is not None, f"no job {stage} of {'/'.join(keys.values())}"
        return planned.id

    def _hash(self, ids: list[str]) -> str:
        return hashlib.sha256("\0".join([*ids, *self._own]).encode()).hexdigest()[:16]
