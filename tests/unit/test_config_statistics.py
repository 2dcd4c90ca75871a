"""Anchors, seeds of single methods and published orderings: what a configuration may say of statistics."""

from pathlib import Path

import pytest

from sc2.config.load import load_config
from sc2.jobs.identity import job
from sc2.jobs.plan import anchors, runs
from tests.configuration import CONFIG, DEFAULT, Mistake, assert_named, load_changed, put
from tests.planning import NAME, load_small
from tests.unit.test_papers import sections

ORDERINGS = "published/orderings.yaml"

MISTAKES: dict[str, Mistake] = {
    "an anchor that is not run": (
        DEFAULT,
        put("anchors", ["bgp"]),
        "config.yaml",
        f"{DEFAULT}: anchors[0]",
        ["it is no method of this benchmark; did you mean 'bpg'?"],
    ),
    "an anchor twice": (
        DEFAULT,
        put("anchors", ["bpg", "bpg"]),
        "config.yaml",
        f"{DEFAULT}: anchors",
        ["listed twice: bpg; keep one of each"],
    ),
    "seeds of a codec": (
        DEFAULT,
        put("methods", "jpeg", "seeds", ["0", "1"]),
        "config.yaml",
        f"{DEFAULT}: methods.jpeg.seeds",
        ["jpeg is not trained, so that no seed changes anything: remove this key"],
    ),
    "no seeds": (
        DEFAULT,
        put("methods", "end_to_end", "seeds", []),
        "config.yaml",
        f"{DEFAULT}: methods.end_to_end.seeds",
        ["needs at least 1 entry"],
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


def test_the_anchors_are_bpg_or_webp_or_the_first_method_unless_a_benchmark_says_otherwise(tmp_path: Path) -> None:
    benchmark = load_config(CONFIG / "config.yaml").benchmarks[NAME]
    assert anchors(benchmark) == ["bpg", "entropic_student"]
    assert anchors(load_small(tmp_path, {DEFAULT: put("anchors", ["bpg"])}).benchmarks[NAME]) == ["webp"]
    config = load_small(tmp_path, {DEFAULT: put("anchors", ["jpeg", "webp"])})
    planned = job(config, "make_tables", {"benchmark": NAME})
    assert planned is not None
    assert planned.spec["anchors"] == ["jpeg", "webp"]


def test_a_method_may_have_seeds_of_its_own_on_a_benchmark(tmp_path: Path) -> None:
    config = load_small(tmp_path, {DEFAULT: put("methods", "entropic_student", "seeds", ["0", "3", "5"])})
    planned = {(run.method, run.seed) for run in runs(config, NAME)}
    assert planned == {("jpeg", "0"), ("webp", "0"), *(("entropic_student", seed) for seed in ("0", "3", "5"))}
    keys = {"benchmark": NAME, "method": "entropic_student", "point": "4", "seed": "5"}
    assert job(config, "evaluate", keys) is not None
    assert job(config, "evaluate", {**keys, "seed": "1"}) is None


SEEDS = {"channel_reduction_quantization": ["4", "0"], "local_model": ["0"]}


def test_seeds_on_one_benchmark_are_not_those_of_another(tmp_path: Path) -> None:
    three, one = (put("methods", name, "seeds", seeds) for name, seeds in SEEDS.items())
    config = load_changed(tmp_path, {DEFAULT: [three, one], "config.yaml": [put("max_seeds", None)]})
    assert {run.seed for run in runs(config, NAME, "channel_reduction_quantization")} == {"4", "0"}
    dense = {run.seed for run in runs(config, "photodigits_detection", "channel_reduction_quantization")}
    assert dense == {"0", "1", "2"}
    assert {run.seed for run in runs(config, NAME, "local_model")} == {"0"}


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
