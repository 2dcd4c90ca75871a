"""Fetches published results, verifies them, and makes Snakemake's bookkeeping agree with them. No torch.

A clone has no `.snakemake/`, in which Snakemake notes the id and the input checksums of every job it ran. Without them
it can only compare the times of files, which are meaningless after a download, and it would not notice an edited
method. `snakemake --touch --forceall` writes these notes for every job as if it had just run here. They would be wrong
for outputs that the current configuration and code would not make, so those are found and removed first.
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
    """Fetch the results in `dvc.lock`, and keep only those that the configuration and code would make.

    Args:
        config: The configuration to verify against.
        remote: Name of a DVC remote; None for the default one.

    Returns:
        0 if the pulled results are valid (jobs whose code or configuration has changed since will run again), 1 if
        some are edited, missing or without a record, or if the remote has only some of them.

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
            f"not in the remote: {', '.join(map(str, absent))}; upload them with `dvc push` where the run was made, or "
            "build them here with `snakemake --cores all`"
        )
    return 1 if absent or any(finding.kind != "stale" for finding in report.findings) else 0


def adopt(config_path: Path) -> None:
    """Make Snakemake note all existing outputs as made by the current configuration and code, without changing them.

    Raises:
        SC2Error: Snakemake failed.
    """
    options = ["--touch", "--forceall", "--cores", "1", "--quiet", "all", "--configfile", str(config_path)]
    done = _run("snakemake", *options)
    if done.returncode != 0:
        raise SC2Error(f"`snakemake {' '.join(options)}` failed:\n{done.stdout}{done.stderr}")


def _check_remote(remote: str | None) -> None:
    """Check that DVC has the remote, before anything is changed."""
    option = "core.remote" if remote is None else f"remote.{remote}.url"
    done = _run("dvc", "config", option)
    if done.returncode != 0:
        raise SC2Error(f"`dvc config {option}` failed: {done.stderr.strip()}")
    if done.stdout.strip():
        return
    if remote is None:
        raise SC2Error(f"DVC has no default remote; add one: `{ADD_REMOTE}`")
    raise SC2Error(f"DVC has no remote {remote!r}; list remotes with `dvc remote list`, add one with `{ADD_REMOTE}`")


def _fetch(remote: str | None) -> list[Path]:
    """Fetch the files that the remote has, and return the outputs in `dvc.lock` that are still missing."""
    command = ["pull", *([] if remote is None else ["--remote", remote])]
    # Not captured: DVC shows its progress, and asks before overwriting results that exist nowhere else.
    if subprocess.run([sys.executable, "-m", "dvc", *command], check=False).returncode == 0:
        return []
    # DVC works all or nothing: if one file is unavailable, it may not put the others in place.
    outs = _published()
    placed = _run("dvc", "checkout", "--allow-missing", *map(str, outs))
    absent = [path for path in outs if not path.exists()]
    if placed.returncode != 0 or absent == outs:
        raise SC2Error(
            "`dvc pull` failed, see its message above. If the remote lacks files: `dvc push` where the run was made. "
            "If your own results are in the way: move them, or discard them with `dvc checkout --force`"
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
        lines.append("edited results were damaged in the remote or in .dvc/cache, and are not used")
    if removed:
        lines.append(
            f"{removed} files removed that differ from what this checkout makes: `snakemake --cores all` rebuilds them"
        )
    return "\n".join(lines) or "all results match this checkout: `snakemake --cores all` continues from here"


def _run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment, even if its folder is not on the PATH."""
    command = [sys.executable, "-m", module, *arguments]
    # The output is captured, so nobody would see a question.
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
