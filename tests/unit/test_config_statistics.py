"""Anchors, seeds of single methods and published orderings: what a configuration may say of statistics."""

from pathlib import Path

import pytest

from sc2.config.load import load_config
from sc2.jobs.identity import job
from sc2.jobs.plan import anchor, seeds
from tests.configuration import CONFIG, DEFAULT, Mistake, assert_named, put
from tests.planning import NAME, load_small
from tests.unit.test_papers import sections

ORDERINGS = "published/orderings.yaml"

MISTAKES: dict[str, Mistake] = {
    "an anchor that is not run": (
        DEFAULT,
        put("anchor", "bgp"),
        "config.yaml",
        f"{DEFAULT}: anchor",
        ["config.yaml does not run it here; did you mean 'bpg'?"],
    ),
    "seeds of a codec": (
        "config.yaml",
        put("method_seeds", "jpeg", ["0", "1"]),
        "config.yaml",
        "config.yaml: method_seeds.jpeg",
        ["is not trained, so that no seed changes anything: take it out"],
    ),
    "seeds of a method that is not run": (
        "config.yaml",
        put("method_seeds", "entropic_studnt", ["0"]),
        "config.yaml",
        "config.yaml: method_seeds.entropic_studnt",
        ["is not run here; did you mean 'entropic_student'?"],
    ),
    "an ordering of an unknown method": (
        ORDERINGS,
        put("bpg_webp", "other", "wepb"),
        "config.yaml",
        f"{ORDERINGS}: bpg_webp.other",
        ["unknown method; did you mean 'webp'?"],
    ),
    "an ordering by an unknown metric": (
        ORDERINGS,
        put("bpg_webp", "metric", "bits"),
        "config.yaml",
        f"{ORDERINGS}: bpg_webp.metric",
        ["unknown value"],
    ),
    "a teacher's bytes": (
        ORDERINGS,
        put("bpg_webp", "other", "teacher"),
        "config.yaml",
        f"{ORDERINGS}: bpg_webp.metric",
        ["a teacher sends nothing and has no encoder"],
    ),
    "an ordering of an unknown task": (
        ORDERINGS,
        put("bpg_webp", "tasks", ["classfication"]),
        "config.yaml",
        f"{ORDERINGS}: bpg_webp.tasks[0]",
        ["unknown task; did you mean 'classification'?"],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, name: str) -> None:
    assert_named(tmp_path, MISTAKES[name])


def test_the_anchor_is_bpg_or_webp_or_the_first_method_unless_a_benchmark_says_otherwise(tmp_path: Path) -> None:
    benchmark = load_config(CONFIG / "config.yaml").benchmarks[NAME]
    assert anchor(benchmark) == "bpg"
    assert anchor(load_small(tmp_path).benchmarks[NAME]) == "webp"
    config = load_small(tmp_path, {DEFAULT: put("anchor", "jpeg")})
    planned = job(config, "make_tables", {"benchmark": NAME})
    assert planned is not None
    assert planned.spec["anchor"] == "jpeg"


def test_a_method_may_have_seeds_of_its_own(tmp_path: Path) -> None:
    config = load_small(tmp_path, {"config.yaml": put("method_seeds", "entropic_student", ["0", "3", "5"])})
    assert seeds(config, "entropic_student") == ["0", "3", "5"]
    assert seeds(config, "webp") == ["0"]
    assert seeds(config, "end_to_end") == ["0", "1"]
    keys = {"benchmark": NAME, "method": "entropic_student", "point": "4", "seed": "5"}
    assert job(config, "evaluate", keys) is not None
    assert job(config, "evaluate", {**keys, "seed": "1"}) is None


def test_a_benchmark_checks_the_orderings_of_the_methods_that_it_runs(tmp_path: Path) -> None:
    planned = job(load_small(tmp_path), "make_tables", {"benchmark": NAME})
    assert planned is not None
    assert list(planned.spec["orderings"]) == ["entropic_student_webp", "entropic_student_jpeg", "webp_jpeg"]
    assert "sc2/tasks/classification.py" in planned.fingerprint.files
    everything = load_config(CONFIG / "config.yaml")
    dense, plain = (job(everything, "make_tables", {"benchmark": name}) for name in ("photodigits_detection", NAME))
    assert dense is not None
    assert plain is not None
    assert "unit_entropic_student" in plain.spec["orderings"].keys() - dense.spec["orderings"].keys()


def test_every_ordering_cites_a_section_of_the_papers() -> None:
    orderings = load_config(CONFIG / "config.yaml").orderings
    assert len(orderings) > 10
    assert {ordering.source for ordering in orderings.values()} <= set(sections())
