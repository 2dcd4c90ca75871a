"""JSON schemas of the configuration files, for completion and checks in editors; `sc2 schema` writes them. No torch."""

import importlib
import json
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from sc2.config.found import dataset_kinds
from sc2.config.schema import BenchmarkConfig, MethodFile, RunConfig
from sc2.measure.published import Ordering
from sc2.methods import get_method, method_names
from sc2.released.spec import ReleasedRuns
from sc2.strict import Name

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas by file name: run file, benchmark, data set, what is published, and one per method."""
    kinds = reduce(or_, [importlib.import_module(f"sc2.data.{kind}").Params for kind in dataset_kinds()])
    any_dataset: Any = Annotated[kinds, Field(discriminator="kind")]
    schema_of = {
        "run": RunConfig.model_json_schema(),
        "run_extends": _partial(RunConfig.model_json_schema()) | {"required": ["extends"]},
        "benchmark": BenchmarkConfig.model_json_schema(),
        "benchmark_extends": _partial(BenchmarkConfig.model_json_schema()) | {"required": ["extends"]},
        "dataset": TypeAdapter(any_dataset).json_schema(),
        "dataset_extends": _dataset_extends(TypeAdapter(any_dataset).json_schema()),
        "released": ReleasedRuns.model_json_schema(),
        "orderings": TypeAdapter(dict[Name, Ordering]).json_schema(),
    }
    for name in method_names():
        schema = MethodFile.model_json_schema()
        schema["properties"]["params"] = get_method(name).Params.model_json_schema()
        # References inside the parameters are relative to the root of the document.
        schema["$defs"] = schema["properties"]["params"].pop("$defs", {})
        schema_of[f"method_{name}"] = schema
    return {f"{name}.schema.json": {"$schema": DIALECT, **schema} for name, schema in schema_of.items()}


def schema_text(schema: dict[str, Any]) -> str:
    """Return the text of a schema's file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> list[Path]:
    """Write all schemas into `folder`, remove obsolete ones, and return the paths written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {folder / name: schema for name, schema in schemas().items()}
    for path in folder.glob("*.schema.json"):
        if path not in written:
            path.unlink()
    for path, schema in written.items():
        path.write_text(schema_text(schema), encoding="utf-8")
    return list(written)


def _dataset_extends(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a data set that inherits missing keys; what kind it is, its own file need not say."""
    loose: dict[str, Any] = _partial(schema)
    extends = {"type": "string", "description": "Data set from which missing keys are inherited"}
    for entry in loose["anyOf"]:
        loose["$defs"][entry["$ref"].rpartition("/")[2]]["properties"]["extends"] = extends
    return loose | {"required": ["extends"]}


def _partial(schema: Any) -> Any:
    """Return a schema for a file that inherits missing keys from another one: nothing is required."""
    if isinstance(schema, list):
        return [_partial(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    loose = {key: _partial(value) for key, value in schema.items() if key not in ("required", "discriminator")}
    if "oneOf" in loose:  # without its tag, an entry may match several branches
        loose["anyOf"] = loose.pop("oneOf")
    return loose
