"""`sc2 import-…`: takes published weights in the place of a training.

The file is read, converted and checked at once; the configuration then names it, by its hash, and the workflow converts
it in a job of its own, with a record.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from sc2.commands.untrained import untrained_context
from sc2.config.explain import choices
from sc2.config.load import load_config
from sc2.config.released import file_of
from sc2.config.resolved import Benchmark, Config, MethodOnBenchmark
from sc2.data.archive import data_dir
from sc2.errors import CheckpointError, ConfigError, DataError
from sc2.jobs.plan import Run
from sc2.methods import get_method
from sc2.released.convert import converted, read_files
from sc2.released.spec import Released, ReleasedFile

_HEADER = """\
# yaml-language-server: $schema=../schema/released.schema.json
# Published weights that take the place of a training, written by `sc2 import-…`. Without an entry, its run is
# trained again.
"""


def import_released(config_path: Path, run: Run, checkpoint: Path, frequencies: Path | None = None) -> str:
    """Take a published checkpoint for a run, and return what to do next.

    Args:
        config_path: A run file that plans the run.
        run: The run whose training it replaces.
        checkpoint: A checkpoint of the published SC2 code, or a published bottleneck unit.
        frequencies: For a unit, the published table of how often its symbols occur.

    Raises:
        ConfigError: The run file does not plan the run, or the method is not trained.
        CheckpointError: A file cannot be read without running code, or does not fit.
        DataError: The data folder holds another file of that name, or cannot be written.
    """
    config = load_config(config_path)
    benchmark, method = _planned(config, run)
    _refuse(benchmark, run, unit=frequencies is not None)
    files = [file for file in (checkpoint, frequencies) if file is not None]
    for file in files:
        if not file.is_file():
            raise CheckpointError(f"{file}: there is no such file")
    context = untrained_context(benchmark, method, run.point)
    given = getattr(benchmark.config.teacher, "class_indices", None)
    # The names of the classes are those of a data set that need not be here.
    chosen = list(given.values()) if isinstance(given, Mapping) else given
    try:
        converted(get_method(run.method), context, read_files(context, *files), chosen)
    except CheckpointError as error:
        raise CheckpointError(f"{checkpoint} is not taken: {error}") from error
    kept, *table = [_kept(file) for file in files]
    source: Literal["sc2bench", "spic"] = "spic" if table else "sc2bench"
    released = Released(source=source, **dict(kept), seed=run.seed, frequencies=table[0] if table else None)
    file = _noted(config_path.parent, run, released)
    target = f"results/evaluate/{run.benchmark}/{run.method}/{run.point}/seed{run.seed}/summary.json"
    return (
        f"{kept.file} (sha256 {kept.sha256}) takes the place of the training, see {file}; to evaluate it:\n"
        f"snakemake --cores all {target} --configfile {config_path}"
    )


def _planned(config: Config, run: Run) -> tuple[Benchmark, MethodOnBenchmark]:
    benchmark = config.benchmarks.get(run.benchmark)
    if benchmark is None:
        raise ConfigError(
            f"{config.path} does not run {run.benchmark}; {choices(run.benchmark, list(config.benchmarks))}"
        )
    method = benchmark.methods.get(run.method)
    if method is None:
        known = choices(run.method, list(benchmark.methods))
        raise ConfigError(f"{config.path} does not run {run.method} on {run.benchmark}; {known}")
    if not get_method(run.method).phases():
        raise ConfigError(f"{run.method} is not trained, so that it has no weights to take")
    if method.chained is not None:
        raise ConfigError(
            f"the points of {run.method} on {run.benchmark} are trained one after another: remove `chain` from its grid"
        )
    for what, value, there in (("point", run.point, method.points), ("seed", run.seed, method.seeds(config.run))):
        if value not in there:
            raise ConfigError(
                f"{config.path} has no {what} {value} of {run.method} on {run.benchmark}: add it to the {what}s in the "
                f"benchmark's file first; {choices(value, there)}"
            )
    return benchmark, method


def _refuse(benchmark: Benchmark, run: Run, *, unit: bool) -> None:
    """Refuse what a command cannot take.

    Raises:
        ConfigError: The message says what can.
    """
    if unit != (get_method(run.method).family == "unit"):
        command = "import-sc2bench" if unit else "import-units"
        raise ConfigError(f"the published weights of {run.method} have another layout: take them with sc2 {command}")


def _kept(file: Path) -> ReleasedFile:
    """Copy a file into the data folder, unless it is there; return its name in that folder, and its SHA-256."""
    folder = data_dir()
    try:
        with file.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        if file.resolve().is_relative_to(folder.resolve()):
            return ReleasedFile(file=file.resolve().relative_to(folder.resolve()).as_posix(), sha256=sha256)
        target = folder / file.name
        if target.exists():
            with target.open("rb") as opened:
                other = hashlib.file_digest(opened, "sha256").hexdigest()
            if other != sha256:
                raise DataError(f"{target} is another file of this name: rename {file}, or move the other away")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    except OSError as error:
        raise DataError(f"{file} cannot be copied into {folder}: {error.strerror or error}") from error
    return ReleasedFile(file=file.name, sha256=sha256)


def _noted(folder: Path, run: Run, released: Released) -> Path:
    """Write into the benchmark's file of published weights that a run takes some, and return the file."""
    file = file_of(folder, run.benchmark)
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {"methods": {}}
    content["methods"].setdefault(run.method, {})[run.point] = released.model_dump(mode="json", exclude_none=True)
    file.parent.mkdir(exist_ok=True)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    file.write_text(_HEADER + text, encoding="utf-8")
    return file
