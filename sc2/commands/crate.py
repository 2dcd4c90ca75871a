"""Writes a trace as a Workflow Run RO-Crate: a folder that other tools and a browser can read. No torch.

The profile is Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5). The crate holds the result, what is
small among that which it was made from, and every record; what is large is named by its SHA-256.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from sc2.errors import ProvenanceError
from sc2.provenance.graph import nodes_of
from sc2.provenance.record import InputFile, OutputFile, find_record, sha256_file
from sc2.provenance.trace import Node

_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
_LICENSE = "https://spdx.org/licenses/MIT"
_SNAKEFILE = Path("workflow") / "Snakefile"
LARGEST_BYTES = 1_000_000
"""Size of the largest file that a crate holds; the result itself may be larger."""


def write_crate(node: Node, folder: Path) -> str:
    """Write the trace of an output into a new folder.

    Args:
        node: The trace.
        folder: The folder, which must not exist yet, or be empty.

    Returns:
        What was written, as a sentence.

    Raises:
        ProvenanceError: A file is not what its record says, the folder is in use, or there is no workflow beside it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ProvenanceError(f"{folder}: in use; name a folder that does not exist yet")
    if not (node.root / _SNAKEFILE).is_file():
        raise ProvenanceError(f"{node.root}: no {_SNAKEFILE} beside these results; trace them in their checkout")
    crate = _Crate(node)
    temporary = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        crate.content.write(temporary)
        if folder.exists():
            folder.rmdir()
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return (
        f"{folder}: {crate.copied} files and {crate.named} that are only named by their hash, of "
        f"{len(nodes_of(node))} jobs; open {folder / 'ro-crate-preview.html'}"
    )


class _Crate:
    """Builds the crate; every file and every job is one entity."""

    def __init__(self, node: Node) -> None:
        self._base = node.root
        self._entities: dict[tuple[str, str], Any] = {}
        self.copied = self.named = 0
        self.content = ROCrate(gen_preview=True, version="1.1")  # what the profile is made for
        self._result = node.path
        nodes = nodes_of(node)
        self._describe_root(node)
        self._add_workflow(nodes)
        self._add_run(node, nodes)
        for one in nodes:
            self._add_job(one)

    def _describe_root(self, node: Node) -> None:
        crate = self.content
        crate.metadata.extra_terms.update(_TERMS)
        crate.name = (
            f"How {Path(node.path).name} was made ({' '.join([node.record.stage, *node.record.keys.values()])})"
        )
        crate.description = (
            f"The result {node.path} of the project split-computing-sc2 (record {node.record.id}), the records of all "
            "jobs behind it, and those files among them that are small."
        )
        crate.datePublished = node.record.finished
        crate.license = _LICENSE
        crate.root_dataset["conformsTo"] = [
            self._add(address, "CreativeWork", name=name, version=version)
            for address, (name, version) in _PROFILES.items()
        ]

    def _add_workflow(self, nodes: list[Node]) -> None:
        version = nodes[0].record.versions.get("snakemake")
        names = {"name": "SC2 and variable bit-rate bottlenecks: every figure, from the data up"}
        self._workflow = self.content.add_workflow(
            self._base / _SNAKEFILE, _SNAKEFILE.as_posix(), main=True, lang="snakemake", lang_version=version,
            properties=names,
        )  # fmt: skip
        rules = [
            self.content.add_file(path, path.relative_to(self._base).as_posix(), properties={"name": path.name})
            for path in sorted((self._base / _SNAKEFILE.parent / "rules").glob("*.smk"))
        ]
        self._workflow["hasPart"] = [*rules, *(self._stage(stage) for stage in _unique(n.record.stage for n in nodes))]
        self.copied += 1 + len(rules)

    def _add_run(self, node: Node, nodes: list[Node]) -> None:
        """Add the run of the workflow as a whole: from the files that no job made to the result."""
        sources = [self._file(file) for one in nodes for file in one.sources]
        run = self.content.add_action(
            self._workflow,
            identifier="#run",
            result=[self._file(file) for file in node.record.outputs.values()],
            properties={
                "name": f"The run that made {node.path}",
                "startTime": min(one.record.started for one in nodes),
                "endTime": max(one.record.finished for one in nodes),
                "actionStatus": "http://schema.org/CompletedActionStatus",
                "description": f"{len(nodes)} jobs; each has its own action",
            },
        )
        if sources:
            run["object"] = list(dict.fromkeys(sources))
        self.content.root_dataset["mentions"] = [run]

    def _add_job(self, node: Node) -> None:
        """Add the action of one job, and its record."""
        record = node.record
        commit = record.git.get("commit") or f"unknown ({record.git.get('unknown', 'not recorded')})"
        dirty = ", with uncommitted changes" if record.git.get("dirty") else ""
        action = self.content.add_action(
            self._stage(record.stage),
            identifier=f"#job-{record.id}",
            object=[self._file(file) for file in record.input_files()],
            result=[self._file(file) for file in record.outputs.values()],
            properties={
                "name": " ".join([record.stage, *record.keys.values()]),
                "identifier": record.id,
                "description": f"`{' '.join(record.command)}` at commit {commit}{dirty}",
                "startTime": record.started,
                "endTime": record.finished,
                "actionStatus": "http://schema.org/CompletedActionStatus",
            },
        )
        path = find_record(self._base / node.path)
        assert path is not None, node.path
        about = {"name": f"record {record.id}", "encodingFormat": "application/json", "about": {"@id": action.id}}
        self.content.add_file(path, path.relative_to(self._base).as_posix(), properties=about)
        self.copied += 1
        self.content.root_dataset.append_to("mentions", action)

    def _stage(self, stage: str) -> Any:
        return self._add(f"#stage-{stage}", "SoftwareApplication", name=f"sc2 {stage}")

    def _file(self, file: InputFile | OutputFile) -> Any:
        """Return the entity of a file, copied into the crate if it is small or the result."""
        key = (file.path, file.sha256)
        if key not in self._entities:
            self._entities[key] = self._new_file(file)
        return self._entities[key]

    def _new_file(self, file: InputFile | OutputFile) -> Any:
        path = self._base / file.path
        made = isinstance(file, OutputFile) or file.record is not None
        size = path.stat().st_size if path.is_file() and not file.outside else None
        if made and size is not None and (size <= LARGEST_BYTES or file.path == self._result):
            if sha256_file(path) != file.sha256:
                raise ProvenanceError(f"{file.path}: not what its record says; run `sc2 verify`, then rebuild it")
            self.copied += 1
            about = {"name": path.name, "sha256": file.sha256, "contentSize": str(size)}
            return self.content.add_file(path, file.path, properties=about)
        self.named += 1
        about = {"name": file.path, "sha256": file.sha256, "identifier": f"sha256:{file.sha256}"}
        if size is not None:
            about["contentSize"] = str(size)
        return self._add(f"#sha256-{file.sha256}", "CreativeWork", **about)

    def _add(self, identifier: str, kind: str, /, **properties: Any) -> Any:
        """Return the entity of an identifier, made where it does not exist yet."""
        existing = self.content.dereference(identifier)
        if existing is not None:
            return existing
        return self.content.add(ContextEntity(self.content, identifier, {"@type": kind, **properties}))


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
