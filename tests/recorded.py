"""A pretended project whose jobs write records: data → teacher → evaluations → table → figure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sc2.job import RunningJob
from sc2.provenance.fingerprint import Fingerprint, fingerprint
from sc2.provenance.inputs import describe_inputs
from sc2.provenance.record import hashes_of, record_id, write_record
from sc2.provenance.verify import Report, verify

COMMIT = {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": False, "dirty_sha256": None}
DIRTY = {**COMMIT, "dirty": True, "dirty_sha256": "ff"}
POINTS = ("10", "50", "90")
DATA = "results/data/digits/data.tar"
TEACHER = "results/teachers/bench/teacher.pt"
TABLE = "results/tables/bench/rate.csv"
FIGURE = "results/figures/bench/rate.svg"


def evaluation(point: str) -> str:
    return f"results/evaluate/bench/jpeg/{point}/seed0/summary.json"


@dataclass(frozen=True)
class Planned:
    spec: Mapping[str, Any]
    fingerprint: Fingerprint


@dataclass(frozen=True)
class Step:
    """One job of the pretended project."""

    stage: str
    keys: dict[str, str]
    spec: dict[str, Any]
    inputs: dict[str, list[str]]
    output: str
    git: dict[str, Any]


class Project:
    """Data → teacher → three evaluations (which also read the data: diamonds) → table → figure."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.same_bytes = False  # whether jobs write the same whatever their configuration
        run = {"benchmark": "bench", "method": "jpeg"}
        steps = [
            Step(
                "prepare_data", {"dataset": "digits"}, {"kind": "photodigits", "train": 6000}, {"archive": ["raw.tar"]},
                DATA, COMMIT,
            ),
            Step("train_teacher", {"benchmark": "bench"}, {"epochs": 12}, {"data": [DATA]}, TEACHER, DIRTY),
            *(
                Step(
                    "evaluate", {**run, "point": point, "seed": "0"}, {"quality": point},
                    {"data": [DATA], "teacher": [TEACHER]}, evaluation(point), COMMIT,
                )
                for point in POINTS
            ),
            Step("make_tables", {"benchmark": "bench"}, {}, {"runs": [evaluation(p) for p in POINTS]}, TABLE, COMMIT),
            Step("plot_figure", {"benchmark": "bench", "figure": "rate"}, {}, {"table": [TABLE]}, FIGURE, COMMIT),
        ]  # fmt: skip
        self.steps = {step.output: step for step in steps}
        for step in steps:
            module = root / "sc2" / f"{step.stage}.py"
            module.parent.mkdir(exist_ok=True)
            module.write_text("import sc2.shared\n")
        (root / "sc2" / "shared.py").write_text("A = 1\n")
        (root / "raw.tar").write_text("pixels")

    def build(self, *outputs: str) -> None:
        """Run the jobs of some outputs, of all by default."""
        for output in outputs or self.steps:
            step = self.steps[output]
            inputs: dict[str, Path | list[Path]] = {name: list(map(Path, files)) for name, files in step.inputs.items()}
            described = describe_inputs(inputs)
            code = fingerprint([f"sc2.{step.stage}"], self.root)
            identity = record_id(step.stage, step.keys, step.spec, code.digest, hashes_of(described))
            path = Path(output)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(output if self.same_bytes else f"{output} {identity}")
            write_record(
                self.record(output),
                job=RunningJob(step.stage, step.keys, step.spec, inputs, {"out": path}, identity),
                code=code,
                job_id="planned",
                inputs=described,
                started=datetime(2026, 1, 1, tzinfo=UTC),
                seconds=1.5,
                command=["python", "-m", "sc2", step.stage],
                git=step.git,
            )

    def record(self, output: str) -> Path:
        return Path(output).with_suffix(".prov.json")

    def plan(self, output: str, **spec: Any) -> None:
        """Change the planned configuration of one job."""
        self.steps[output] = replace(self.steps[output], spec={**self.steps[output].spec, **spec})

    def jobs(self, stage: str, keys: Mapping[str, str]) -> Planned | None:
        for step in self.steps.values():
            if (step.stage, step.keys) == (stage, keys):
                return Planned(step.spec, fingerprint([f"sc2.{stage}"], self.root))
        return None

    def verify(self) -> Report:
        return verify(Path("results"), self.jobs)

    def found(self) -> dict[str, set[str]]:
        """Paths by kind of finding."""
        kinds: dict[str, set[str]] = {}
        for finding in self.verify().findings:
            kinds.setdefault(finding.kind, set()).add(finding.path)
        return kinds

    def message(self, path: str) -> str:
        (message,) = [finding.message for finding in self.verify().findings if finding.path == path]
        return message


EVALUATIONS = {evaluation(point) for point in POINTS}
EVERYTHING = {DATA, TEACHER, TABLE, FIGURE, *EVALUATIONS}
