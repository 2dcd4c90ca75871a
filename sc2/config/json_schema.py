"""JSON schemas of the configuration files, for completion and checks in editors; `sc2 schema` writes them. No torch."""

import importlib
import json
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sc2.config.load import dataset_kinds
from sc2.config.schema import BenchmarkConfig, MethodFile, RunConfig
from sc2.methods import get_method, method_names


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas by file name: the run file, a benchmark, a data set, and one per method."""
    datasets = [importlib.import_module(f"sc2.data.{kind}").Params for kind in dataset_kinds()]
    made = {
        "run": RunConfig.model_json_schema(),
        "benchmark": BenchmarkConfig.model_json_schema(),
        "dataset": TypeAdapter(reduce(or_, datasets)).json_schema(),
    }
    for name in method_names():
        schema = MethodFile.model_json_schema()
        schema["properties"]["params"] = get_method(name).Params.model_json_schema()
        # References inside the parameters are written from the root of the document.
        schema["$defs"] = schema["properties"]["params"].pop("$defs", {})
        made[f"method_{name}"] = schema
    return {f"{name}.schema.json": schema for name, schema in made.items()}


def write_schemas(folder: Path) -> list[Path]:
    """Write all schemas into `folder` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, schema in schemas().items():
        path = folder / name
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        paths.append(path)
    return paths
