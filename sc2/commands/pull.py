"""Fetches shared results, checks them, and makes Snakemake's bookkeeping agree with them. No torch.

Files come into DVC's cache first, where each is hashed; only sound ones are placed in `results/`, and then everything
is verified against its records.

A clone has no `.snakemake/`, in which Snakemake notes the id and the input checksums of every job it ran. Without them
it can only compare the times of files, which are meaningless after a download, and it would not notice an edited
method. `snakemake --touch --forceall` writes these notes for every job as if it had just run here. They would be wrong
for outputs that the current configuration and code would not make, so those are found and removed first. Until it is
done, a note (`sc2.sharing.unfinished`) keeps the workflow from starting.
"""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from sc2.commands.shared import RESULTS, Wanted, files_of, lock_of, records_of, run_tool
from sc2.commands.verify import check
from sc2.config.resolved import Config
from sc2.errors import SC2Error
from sc2.provenance.findings import Report, format_report, prune
from sc2.provenance.record import SUFFIX, Record
from sc2.sharing.lock import Folder, read_lock
from sc2.sharing.place import place, to_place, under_way
from sc2.sharing.store import Store, size_of
from sc2.sharing.unfinished import ADOPTING

_NAMED = 5


@dataclass(frozen=True)
class _Fetched:
    """What came into the cache.

    Attributes:
        files: Objects of the files asked for, by path.
        new: Objects that were fetched.
        absent: What the remote does not hold: files, and folders of which it holds not even the list.
        damaged: Files that were not what their names say, in the remote or in the cache.
    """

    files: Mapping[str, str]
    new: Collection[str]
    absent: list[str]
    damaged: list[str]


def pull(config: Config, remote: str | None = None, wanted: Wanted = Wanted(), *, force: bool = False) -> int:  # noqa: B008 (frozen)
    """Fetch the results that the lock of the run file names, and keep those that configuration and code would make.

    Args:
        config: The configuration to verify against.
        remote: Name of a DVC remote; None for the default one.
        wanted: What to fetch.
        force: Replace results of one's own that differ.

    Returns:
        0 if the pulled results are valid (jobs whose code or configuration has changed since will run again), 1 if
        some are edited, missing or without a record, or if the remote has only some of them.

    Raises:
        SC2Error: There is nothing to pull or nowhere to pull from, or something failed on the way.
    """
    lock = lock_of(config.path)
    if not lock.is_file():
        raise SC2Error(
            f"there is no {lock} here, so no results of {config.path} were shared; run this in the project's folder, "
            "or build the results with `snakemake --cores all`"
        )
    folders, store = read_lock(lock), Store(remote)
    with store.alone():
        fetched = _fetch(store, lock, folders, wanted)
        usable = {path: content for path, content in fetched.files.items() if not store.lacks([content])}
        needed = to_place(store, usable, force=force)
        with under_way():
            try:
                place(store, needed)
            finally:
                # What is in its place is sound: after an error, it is verified like all else, and no half is trusted.
                report, removed = _settle(config)
    print(_summary(store, fetched, len(needed), removed))
    if not report.findings and not fetched.absent and not fetched.damaged:
        print("all of it matches this checkout: work on from here")
    bad = any(finding.kind != "stale" for finding in report.findings)
    return 1 if fetched.absent or fetched.damaged or bad else 0


def adopt(config_path: Path) -> None:
    """Make Snakemake note all existing outputs as made by the current configuration and code, without changing them.

    Raises:
        SC2Error: Snakemake failed.
    """
    options = ["--touch", "--forceall", "--cores", "1", "--quiet", "all", "--configfile", str(config_path)]
    done = run_tool("snakemake", *options, environment={**os.environ, ADOPTING: "1"})
    if done.returncode != 0:
        raise SC2Error(f"`snakemake {' '.join(options)}` failed:\n{done.stdout}{done.stderr}")


def _settle(config: Config) -> tuple[Report, int]:
    """Verify all results, remove what this checkout would not make, and let Snakemake note the rest."""
    report = check(config, RESULTS)
    print(format_report(report), flush=True)
    for path in (removed := prune(report)):
        print(f"removed {path.relative_to(Path.cwd())}")
    adopt(config.path)
    return report, len(removed)


def _fetch(store: Store, lock: Path, folders: list[Folder], wanted: Wanted) -> _Fetched:
    """Fetch the lists of the folders, then the records, then the other files asked for; check each."""
    lists = [folder.listing for folder in folders]
    print(f"{store.place}: {wanted}", flush=True)
    new = store.fetch(lists, "lists")
    spoilt = set(store.damaged(lists))
    absent = [folder.path for folder in folders if store.lacks([folder.listing])]
    damaged = [folder.path for folder in folders if folder.listing in spoilt]
    if len(absent) == len(folders) and not spoilt:
        raise SC2Error(_nothing(store, lock))
    files = files_of(store, folders)
    contents = [content for path, content in files.items() if path.endswith(SUFFIX)]
    new += store.fetch(contents, "records")
    spoilt |= set(store.damaged(contents))
    records = records_of(store, files, store.lacks(contents))
    asked = wanted.of(files, records)
    store.room(*_bytes_to_come(store, asked, records, folders), RESULTS)
    new += store.fetch(asked.values(), "files")
    spoilt |= set(store.damaged(asked.values()))
    lacking = set(store.lacks(asked.values()))
    absent = [path for path in absent if path not in damaged]
    absent += [path for path, content in asked.items() if content in lacking and content not in spoilt]
    damaged += [path for path, content in asked.items() if content in spoilt]
    return _Fetched(asked, [name for name in new if name not in spoilt], absent, damaged)


def _nothing(store: Store, lock: Path) -> str:
    fix = "Name another one with --remote; or run `sc2 push` where the results were made"
    if store.is_empty():
        return f"{store.place} is empty or does not exist; nothing was changed. {fix}"
    return (
        f"{store.place} holds none of the results that {lock} names: it belongs to another project, or they were never "
        f"pushed; nothing was changed. {fix}"
    )


def _bytes_to_come(
    store: Store, asked: Mapping[str, str], records: Mapping[str, Record], folders: list[Folder]
) -> tuple[int, int]:
    """Return the bytes that will come into the cache and into the project, as the records state them."""
    sizes = {file.path: file.bytes for record in records.values() for file in record.outputs.values()}
    lacking = set(store.lacks(asked.values()))
    contents = {content: sizes.get(path, 0) for path, content in asked.items() if content in lacking}
    links = store.links[0] in ("hardlink", "symlink")
    placed = 0 if links else sum(sizes.get(path, 0) for path in asked if not Path(path).exists())
    return sum(contents.values()), placed


def _summary(store: Store, fetched: _Fetched, placed: int, removed: int) -> str:
    came = sum(store.path(name).stat().st_size for name in set(fetched.new) if store.path(name).is_file())
    objects = len(set(fetched.files.values()))
    count = len(set(fetched.new) & set(fetched.files.values()))
    lines = [
        f"fetched {count} files ({size_of(came)} with the lists of folders) from {store.place}; "
        f"{objects - count - _count(fetched)} were in DVC's cache already; {placed} placed in {RESULTS}/"
    ]
    if fetched.absent:
        lines.append(
            f"not in the remote: {_some(fetched.absent)}; upload them with `sc2 push` where the run was made, or build "
            "them here with `snakemake --cores all`"
        )
    if fetched.damaged:
        lines.append(
            f"damaged in the remote or in DVC's cache, removed from the cache and not used: {_some(fetched.damaged)}; "
            "pull again, and if that does not help upload them again where they are sound"
        )
    if removed:
        lines.append(
            f"{removed} files removed that differ from what this checkout makes: `snakemake --cores all` rebuilds them"
        )
    return "\n".join(lines)


def _count(fetched: _Fetched) -> int:
    """Return how many of the objects asked for are not usable."""
    bad = {*fetched.absent, *fetched.damaged}
    return len({content for path, content in fetched.files.items() if path in bad})


def _some(paths: list[str]) -> str:
    rest = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(sorted(paths)[:_NAMED]) + rest
