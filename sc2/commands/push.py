"""Uploads results to a DVC remote, once they are known to be complete and as recorded. No torch."""

import os
from pathlib import Path

from sc2.commands.dvc import outputs
from sc2.commands.shared import RESULTS, Wanted, files_of, lock_of, records_of, run_tool
from sc2.commands.verify import check, repair_command
from sc2.config.resolved import Config
from sc2.errors import SC2Error
from sc2.provenance.findings import format_report
from sc2.sharing.lock import read_lock, write_lock
from sc2.sharing.store import Store, size_of


def push(config: Config, remote: str | None = None, wanted: Wanted = Wanted()) -> int:  # noqa: B008 (frozen)
    """Verify the results, write the lock of the run file, and upload what the remote lacks.

    Args:
        config: The configuration that made the results.
        remote: Name of a DVC remote; None for the default one.
        wanted: What to upload; the lock names everything.

    Returns:
        0, or 1 if the results are not as recorded, in which case nothing is uploaded.

    Raises:
        SC2Error: The results are not complete, or something failed on the way.
    """
    store = Store(remote)
    report = check(config, RESULTS)
    print(format_report(report, repair_command(config.path)), flush=True)
    if report.findings:
        print("nothing was pushed")
        return 1
    _check_complete(config.path)
    lock = lock_of(config.path)
    _write(store, config, lock)
    folders = read_lock(lock)
    with store.alone():
        files = files_of(store, folders)
        asked = wanted.of(files, {} if wanted.everything else records_of(store, files))
        print(f"{store.place}: {wanted}", flush=True)
        # DVC takes a list of files as a promise that they are there too, so the lists come last.
        new = store.upload(asked.values(), "files")
        lists = store.upload([folder.listing for folder in folders], "lists")
    size = size_of(sum(store.path(name).stat().st_size for name in (*new, *lists)))
    print(f"uploaded {len(new)} files ({size} with the lists of folders) to {store.place}; "
          f"{len(set(asked.values())) - len(new)} were there already")  # fmt: skip
    if not wanted.everything:
        rest = len(set(files.values()) - set(asked.values()))
        print(f"{lock} names {rest} more files, which were not asked for: others get them once they are pushed too")
    print(f"now share what names them: git add {lock} && git commit && git push")
    return 0


def _check_complete(run: Path) -> None:
    """Refuse results of which Snakemake would still make some: who pulls them could not tell what is missing.

    Raises:
        SC2Error: There are such jobs, or Snakemake failed.
    """
    done = run_tool("snakemake", "--dry-run", "--cores", "1", "--configfile", str(run), environment=os.environ)
    if done.returncode != 0:
        raise SC2Error(f"`snakemake --dry-run` failed:\n{done.stdout}{done.stderr}")
    if "Nothing to be done" not in done.stdout + done.stderr:
        raise SC2Error(
            f"the results of {run} are not complete, and nothing was pushed: `snakemake -n` lists what is missing; "
            "build it with `snakemake --cores all`, or fetch it with `sc2 pull`"
        )


def _write(store: Store, config: Config, lock: Path) -> None:
    """Add the results to DVC's cache and write the lock."""
    if lock.name == "dvc.lock":
        done = run_tool("dvc", "commit", "--force", environment=os.environ)
        if done.returncode != 0:
            raise SC2Error(f"`dvc commit --force` failed:\n{done.stdout}{done.stderr}")
        return
    command = f"snakemake --cores all --configfile {config.path}"
    with store.alone():
        write_lock(lock, [store.add(folder) for folder in outputs(config)], command)
