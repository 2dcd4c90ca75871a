"""The content of a record, and its two hashes: id and seal."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict

from sc2.errors import ProvenanceError

FORMAT = 1
SUFFIX = ".prov.json"
ID_DIGITS = 16


class _Model(BaseModel):
    """Base of the models; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CodeState(_Model):
    """The code that ran: the digest of its import closure and of each file in it."""

    digest: str
    files: dict[str, str]


def _inside(path: str) -> str:
    """Refuse a path that leads out of the project, because `verify` may remove files that records name."""
    pure = PurePosixPath(path)
    if not pure.parts or pure.is_absolute() or ".." in pure.parts:
        raise ValueError(f"path {path!r} must be relative, inside the project")
    return path


RelativePath = Annotated[str, AfterValidator(_inside)]


class InputFile(_Model):
    """One input.

    Attributes:
        path: Relative to the project's root, or the file's name alone when `outside`.
        sha256: Hash of the content that the job read.
        record: Id of the record of the job that made it, None if no job made it.
        outside: The file was outside the project.
    """

    path: RelativePath
    sha256: str
    record: str | None
    outside: bool = False


class OutputFile(_Model):
    """One output; `path` and `outside` as for an input, `bytes` is its size."""

    path: RelativePath
    sha256: str
    bytes: int
    outside: bool = False


class Record(_Model):
    """The record of a successful job; see `docs/architecture.md`.

    Attributes:
        id: Hash of stage, keys, spec, code digest and input hashes (16 hex digits).
        job_id: The workflow's id of the job: hash of spec and code, without inputs.
        seed: Seed of the training, None for a job without one.
        git: Commit, whether the checkout was dirty, and the hash of what was dirty.
        started: UTC, ISO 8601.
        seconds: Duration of the job.
        parents: Ids of the records of the inputs, sorted.
        seal: Hash of everything above, which shows whether the record was edited.
    """

    format: Literal[1]
    id: str
    stage: str
    keys: dict[str, str]
    spec: dict[str, Any]
    job_id: str
    code: CodeState
    inputs: dict[str, InputFile | list[InputFile]]
    outputs: dict[str, OutputFile]
    seed: str | None
    git: dict[str, Any]
    versions: dict[str, str | None]
    hardware: dict[str, Any]
    platform: dict[str, str]
    command: list[str]
    started: str
    finished: str
    seconds: float
    parents: list[str]
    seal: str

    def input_files(self) -> list[InputFile]:
        """Return all inputs in one list."""
        files: list[InputFile] = []
        for item in self.inputs.values():
            files.extend(item if isinstance(item, list) else [item])
        return files

    def edited(self) -> str | None:
        """Return how the record contradicts itself, None if it does not."""
        expected = record_id(self.stage, self.keys, self.spec, self.code.digest, hashes_of(self.inputs))
        if expected != self.id:
            return f"its id is {self.id} but its content has the id {expected}"
        if seal(self.model_dump(mode="json")) != self.seal:
            return "its content was changed after it was written"
        return None


def hashes_of(inputs: Mapping[str, InputFile | list[InputFile]]) -> dict[str, str | list[str]]:
    """Return the SHA-256 of described inputs, as `record_id` expects them."""
    return {
        name: [file.sha256 for file in item] if isinstance(item, list) else item.sha256 for name, item in inputs.items()
    }


def canonical(value: Any) -> str:
    """Return the canonical JSON text of a value: sorted keys, no spaces, no NaN.

    Raises:
        ProvenanceError: The value is not made of JSON types.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ProvenanceError(f"not a JSON value: {error}; a spec holds JSON types only") from error


def record_id(
    stage: str,
    keys: Mapping[str, str],
    spec: Mapping[str, Any],
    code_digest: str,
    input_hashes: Mapping[str, str | list[str]],
) -> str:
    """Return the id of a job's record (16 hex digits), which is the same for the same work.

    Raises:
        ProvenanceError: The spec is not made of JSON types.
    """
    work = {"stage": stage, "keys": dict(keys), "spec": dict(spec), "code": code_digest, "inputs": dict(input_hashes)}
    return hashlib.sha256(canonical(work).encode()).hexdigest()[:ID_DIGITS]


def seal(content: Mapping[str, Any]) -> str:
    """Hash the content of a record without its seal."""
    return hashlib.sha256(canonical({**content, "seal": ""}).encode()).hexdigest()
