"""The JSON schemas of the configuration are those of the code, and every file fits its own."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from sc2.config.json_schema import schema_text, schemas
from tests.configuration import CONFIG

ALL_FILES = sorted(CONFIG.rglob("*.yaml"))
MODELINE = "# yaml-language-server: $schema="


def test_the_committed_schemas_are_those_of_the_code() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in (CONFIG / "schema").iterdir()}
    made = {name: schema_text(schema) for name, schema in schemas().items()}
    different = sorted(name for name in committed.keys() | made.keys() if committed.get(name) != made.get(name))
    assert not different, f"config/schema is not what the code makes: run `.venv/bin/sc2 schema` ({different})"


@pytest.mark.parametrize("path", ALL_FILES, ids=lambda path: path.relative_to(CONFIG).as_posix())
def test_every_file_names_its_schema_and_fits_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    first = text.splitlines()[0]
    assert first.startswith(MODELINE), f"the first line of {path} must name its schema"
    schema = json.loads((path.parent / first.removeprefix(MODELINE)).read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    content = yaml.safe_load(text)
    assert list(validator.iter_errors(content)) == []
    assert not validator.is_valid({**content, "no_such_key": 1})


def test_the_schema_of_an_extending_benchmark_requires_only_what_it_extends() -> None:
    schema = schemas()["benchmark_extends.schema.json"]
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"extends": "a", "teacher": {"training": {"epochs": 1}}})
    assert not validator.is_valid({"title": "a"})
    assert not validator.is_valid({"extends": "a", "teacher": {"training": {"epoch": 1}}})


def test_the_schema_of_an_extending_run_file_requires_only_what_it_extends() -> None:
    schema = schemas()["run_extends.schema.json"]
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"extends": "config", "max_seeds": None})
    assert not validator.is_valid({"max_seeds": 1})
    assert not validator.is_valid({"extends": "config", "max_seeds": 0})
