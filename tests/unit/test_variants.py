"""Variants of a method on a benchmark: what they inherit, what they are called, what is refused."""

from pathlib import Path
from typing import Any

import pytest

from sc2.config.resolved import Config
from sc2.errors import ConfigError
from sc2.jobs.identity import job
from sc2.methods import base_of, get_method, is_method, module_of
from tests.configuration import DEFAULT, Edit, Mistake, Project, assert_named, put
from tests.planning import NAME, load_small

STUDENT, VARIANT = "entropic_student", "entropic_student.wide"
WIDER = {"title": "Entropic Student, wide", "params": {"encoder_channels": [48, 32, 8]}}


def load(folder: Path) -> Config:
    return load_small(folder, {DEFAULT: put("methods", VARIANT, WIDER), "config.yaml": runs(VARIANT)})


def runs(method: str) -> Edit:
    def edit(content: dict[str, Any]) -> None:
        content["benchmarks"][NAME].append(method)

    return edit


def test_a_variant_has_the_grid_of_its_method_and_its_own_parameters(tmp_path: Path) -> None:
    methods = load(tmp_path).benchmarks[NAME].methods
    method, variant = methods[STUDENT], methods[VARIANT]
    assert (variant.title, variant.points) == ("Entropic Student, wide", method.points)
    changed = variant.params.model_dump() | {"encoder_channels": method.params.model_dump()["encoder_channels"]}
    assert changed == method.params.model_dump()
    assert variant.params.model_dump()["encoder_channels"] == [48, 32, 8]


def test_a_variant_is_trained_beside_its_method_by_the_same_code(tmp_path: Path) -> None:
    config = load(tmp_path)
    keys = {"benchmark": NAME, "point": config.benchmarks[NAME].methods[STUDENT].points[0], "seed": "0"}
    method, variant = (
        job(config, "train", {**keys, "method": name, "phase": "distill"}) for name in (STUDENT, VARIANT)
    )
    assert method is not None
    assert variant is not None
    assert method.code == variant.code
    assert method.id != variant.id


def test_its_code_is_that_of_its_method() -> None:
    assert base_of(VARIANT) == base_of(STUDENT) == STUDENT
    assert module_of(VARIANT) == module_of(STUDENT)
    assert get_method(VARIANT) is get_method(STUDENT)
    assert not is_method("nothing.wide")
    with pytest.raises(ConfigError, match=r"no method 'nothing\.wide'"):
        module_of("nothing.wide")


MISTAKES: dict[str, Mistake] = {
    "a title of a method": (
        DEFAULT,
        put("methods", "jpeg", "title", "JPEG"),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.title",
        ["only a variant (method.variant) has one here: remove this key"],
    ),
    "a variant of nothing": (
        DEFAULT,
        put("methods", "jpg.grey", {"title": "x"}),
        "config.yaml",
        f"{DEFAULT}: methods.jpg.grey",
        ["unknown method", "allowed: "],
    ),
    "a name that is no folder": (
        DEFAULT,
        put("methods", "jpeg.", {"title": "x"}),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.",
        ["use lower case letters"],
    ),
}


def test_a_variant_that_is_run_needs_a_title(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.edit(DEFAULT, put("methods", "jpeg.grey", {"points": ["3"]}))
    project.edit("config.yaml", runs("jpeg.grey"))
    message = "this key is required: add it, a variant has a title of its own"
    assert project.problems() == [(f"{DEFAULT}: methods.jpeg.grey.title", message)]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, name: str) -> None:
    assert_named(tmp_path, MISTAKES[name])
