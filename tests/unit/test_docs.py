"""The documentation names what there is: every column, no dead link."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from sc2.config.found import dataset_kinds
from sc2.config.schema import BenchmarkConfig, MethodFile, RunConfig
from sc2.report.columns import all_columns
from sc2.report.end_to_end import break_even_columns, end_to_end_columns

ROOT = Path(__file__).parents[2]
FOLDERS = (".", "docs", "data", "config", "results")
PAGES = sorted(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))


def test_every_column_of_every_table_is_described() -> None:
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    columns = [*all_columns(), *end_to_end_columns(), *break_even_columns()]
    missing = sorted({column.name for column in columns if f"`{column.name}`" not in text})
    assert not missing, f"docs/metrics.md does not describe {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    files = [link for link in links if "://" not in link]
    # Snapshots are written by a rule once results are there; everything else is in the checkout.
    dead = [link for link in files if "reference/" not in link and not (page.parent / link).exists()]
    assert not dead, f"{page.name} links to {dead}"
    assert len(PAGES) > 5


def keys_of(model: type[BaseModel]) -> Iterator[str]:
    """Yield the keys of a configuration model and of the models inside it."""
    for name, field in model.model_fields.items():
        yield name
        for inner in models_in(field.annotation):
            yield from keys_of(inner)


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def test_every_key_of_the_configuration_is_described() -> None:
    page = (ROOT / "config/README.md").read_text(encoding="utf-8")
    datasets = [importlib.import_module(f"sc2.data.{kind}").Params for kind in dataset_kinds()]
    keys = {key for model in (RunConfig, BenchmarkConfig, MethodFile, *datasets) for key in keys_of(model)}
    missing = sorted(key for key in keys if f"`{key}`" not in page)
    assert not missing, f"config/README.md does not describe {missing}"
    assert {"figures", "shift_px", "batch_size", "val_per_class"} <= keys


def test_every_run_file_and_folder_of_the_configuration_is_named() -> None:
    page = (ROOT / "config/README.md").read_text(encoding="utf-8")
    names = [path.name + "/" if path.is_dir() else path.name for path in (ROOT / "config").iterdir()]
    names = ["*.lock" if name.endswith(".lock") else name for name in names]
    assert not [name for name in names if name != "README.md" and name not in page]


TARGET_BEHIND_CONFIGFILE = re.compile(r"--configfiles?[ =]+[^\s`\"']+ +(?![-#|&>;)`])([^\s`]+)")
"""Snakemake would take such a target for another configuration file."""


def misplaced_targets(text: str) -> list[str]:
    return TARGET_BEHIND_CONFIGFILE.findall(re.sub(r"\\\n\s*", " ", text))


def test_no_command_names_a_target_behind_its_configuration_file() -> None:
    folders, kinds = ("config", "docs", "sc2", "workflow", "tests", ".ci"), {".md", ".py", ".smk", ".yaml", ".yml", ""}
    files = [*PAGES, ROOT / "Makefile", *(path for folder in folders for path in (ROOT / folder).rglob("*"))]
    texts = {path: path.read_text(encoding="utf-8") for path in files if path.is_file() and path.suffix in kinds}
    found = {str(path): misplaced_targets(text) for path, text in texts.items() if path != Path(__file__)}
    assert not {path: targets for path, targets in found.items() if targets}
    assert sum("--configfile " in text for text in texts.values()) > 10


@pytest.mark.parametrize(
    ("command", "targets"),
    [
        ("snakemake --configfile config/quick.yaml models", ["models"]),
        ("`snakemake --configfile=a.yaml results/x.svg`", ["results/x.svg"]),
        ("snakemake --cores all --configfiles a.yaml \\\n  models", ["models"]),
        ("snakemake models --configfile a.yaml", []),
        ("`snakemake --configfile a.yaml`. The", []),
        ("snakemake --configfile a.yaml --cores 2  # models", []),
    ],
)
def test_such_a_target_would_be_found(command: str, targets: list[str]) -> None:
    assert misplaced_targets(command) == targets


NAMES_WHAT_IS_NOT_THERE = ("adding-a-method.md", "bring-your-own.md", "CHANGELOG.md")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in NAMES_WHAT_IS_NOT_THERE], ids=lambda page: page.name
)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    """A name in capitals or brackets stands for others."""
    named = re.findall(r"`((?:sc2|tests|workflow|docs|config)/[a-z0-9_./-]*)`", page.read_text(encoding="utf-8"))
    gone = sorted({name for name in named if not (ROOT / name).exists()})
    assert not gone, f"{page.name} names {gone}"


def test_every_name_of_the_package_in_prose_leads_somewhere() -> None:
    """`sc2.module.name` in backticks, in pages and docstrings."""
    pages = [page for page in PAGES if page.name not in NAMES_WHAT_IS_NOT_THERE]
    named = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in [*pages, *(ROOT / "sc2").rglob("*.py")]
        for name in re.findall(r"`(sc2(?:\.\w+)+)", path.read_text(encoding="utf-8"))
    }
    dead = sorted(f"{where}: {name}" for where, name in named if not leads_somewhere(name))
    assert not dead, dead
    assert len(named) > 10


def leads_somewhere(name: str) -> bool:
    """Whether a dotted name is a module, or a module and attributes inside it."""
    parts = name.split(".")
    folder, used = ROOT, 0
    while used < len(parts) and ((folder / parts[used]).is_dir() or (folder / f"{parts[used]}.py").is_file()):
        folder, used = folder / parts[used], used + 1
    found: object = importlib.import_module(".".join(parts[:used]))
    for attribute in parts[used:]:
        if not hasattr(found, attribute):
            return False
        found = getattr(found, attribute)
    return True
