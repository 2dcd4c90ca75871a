"""Fetches published results, verifies them, and makes Snakemake's bookkeeping agree with them. No torch.

A clone has no `.snakemake/`, in which Snakemake notes the id and the input checksums of every job it ran. Without these
notes it can only compare the times of files, which say nothing after a download, and it would not notice that a method
was edited. `snakemake --touch --forceall` writes the notes for every job as if it had just run here. They would be a
lie about any output that the present configuration and code would not make, so those are found and removed first.
"""

import subprocess
import sys
from pathlib import Path

import yaml

from sc2.commands.verify import check
from sc2.config.resolved import Config
from sc2.errors import SC2Error
from sc2.provenance.findings import Report, format_report, prune

RESULTS = Path("results")
ADD_REMOTE = "dvc remote add -d NAME URL"


def pull(config: Config, remote: str | None = None) -> int:
    """Bring the results of `dvc.lock` here and leave only those that the configuration and code would make.

    Args:
        config: The configuration to verify against.
        remote: Name of a DVC remote; the default one when None.

    Returns:
        0 when what was pulled is sound (jobs whose code or configuration has changed since will run again), 1 when
        something in it is edited, missing or without a record, or when the remote holds only a part.

    Raises:
        SC2Error: There is nothing to pull or nowhere to pull from, or DVC or Snakemake failed.
    """
    if not Path("dvc.lock").is_file():
        raise SC2Error(
            "there is no dvc.lock here, so no results were published; run this in the project's folder, or build "
            "the results with `snakemake --cores all`"
        )
    _check_remote(remote)
    absent = _fetch(remote)
    report = check(config, RESULTS)
    print(format_report(report))
    for path in (removed := prune(report)):
        print(f"removed {path.relative_to(Path.cwd())}")
    adopt(config.path)
    print(_summary(report, len(removed)))
    if absent:
        print(
            f"not in the remote: {', '.join(map(str, absent))}; `dvc push` where the run was made brings it there, "
            "`snakemake --cores all` makes it here"
        )
    return 1 if absent or any(finding.kind != "stale" for finding in report.findings) else 0


def adopt(config_path: Path) -> None:
    """Have Snakemake note every output that exists as made by the present configuration and code; no content changes.

    Raises:
        SC2Error: Snakemake failed.
    """
    options = ["--touch", "--forceall", "--cores", "1", "--quiet", "all", "--configfile", str(config_path)]
    done = _run("snakemake", *options)
    if done.returncode != 0:
        raise SC2Error(f"`snakemake {' '.join(options)}` failed:\n{done.stdout}{done.stderr}")


def _check_remote(remote: str | None) -> None:
    """Say what to do where DVC has no such remote, before anything is changed."""
    option = "core.remote" if remote is None else f"remote.{remote}.url"
    done = _run("dvc", "config", option)
    if done.returncode != 0:
        raise SC2Error(f"`dvc config {option}` failed: {done.stderr.strip()}")
    if done.stdout.strip():
        return
    if remote is None:
        raise SC2Error(f"DVC has no default remote; say where the results are: `{ADD_REMOTE}`")
    raise SC2Error(f"DVC has no remote {remote!r}; `dvc remote list` shows those it has, `{ADD_REMOTE}` adds one")


def _fetch(remote: str | None) -> list[Path]:
    """Bring here what the remote holds, and return what `dvc.lock` names and is not here then."""
    command = ["pull", *([] if remote is None else ["--remote", remote])]
    # Not captured: DVC shows its progress, and asks before it would overwrite results that exist nowhere else.
    if subprocess.run([sys.executable, "-m", "dvc", *command], check=False).returncode == 0:
        return []
    # All or nothing is DVC's way: where one file cannot be had, it may put none of the others in place.
    outs = _published()
    placed = _run("dvc", "checkout", "--allow-missing", *map(str, outs))
    absent = [path for path in outs if not path.exists()]
    if placed.returncode != 0 or absent == outs:
        raise SC2Error(
            "`dvc pull` failed, its message is above. Where the remote lacks files: `dvc push` where the run was made. "
            "Where own results are in the way: move them, or drop them with `dvc checkout --force`"
        )
    return absent


def _published() -> list[Path]:
    """Return the outputs that `dvc.lock` names.

    Raises:
        SC2Error: It cannot be read.
    """
    try:
        stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
        return [Path(out["path"]) for stage in stages.values() for out in stage.get("outs", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise SC2Error(f"dvc.lock cannot be read ({error}); restore it: `git checkout dvc.lock`") from error


def _summary(report: Report, removed: int) -> str:
    lines = []
    if any(finding.kind == "edited" for finding in report.findings):
        lines.append("what is edited was damaged in the remote or in .dvc/cache, and does not count")
    if removed:
        lines.append(
            f"{removed} files removed that are not what this checkout makes: `snakemake --cores all` makes them"
        )
    return "\n".join(lines) or "all of it is what this checkout makes: `snakemake --cores all` goes on from here"


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment, also when its folder is not on the PATH."""
    command = [sys.executable, "-m", module, *arguments]
    # Nobody would see a question that is asked here.
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
