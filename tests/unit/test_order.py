"""Which jobs are started first: what the first picture needs, then the longest chains of trainings; latency last."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sc2.jobs.order import FIRST, LATENCY, REST, Order
from tests.configuration import DEFAULT, load_changed, put
from tests.planning import Load

NAME, DETECTION = "photodigits_small_resnet", "photodigits_detection"
BODY = {"benchmark": NAME, "seed": "0"}
POINTS = ["0.06", "0.5", "4"]


def run(method: str, point: str, benchmark: str = NAME, **keys: str) -> dict[str, str]:
    return {"benchmark": benchmark, "method": method, "point": point, "seed": "0", **keys}


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Loads the three tasks: the student in a chain of three points, pictures of it and of a codec."""

    def grid(content: dict[str, Any]) -> None:
        content["methods"]["entropic_student"] |= {"chain": {}}
        content["examples"] = {"methods": ["entropic_student", "webp", "jpeg"]}

    def points(content: dict[str, Any]) -> None:
        content["methods"]["entropic_student"]["points"] = POINTS
        for method in ("entropic_student_shp", "entropic_student_mshp"):
            content["methods"][method]["chain"] = {}  # they start afresh, not from the student

    dense = [f"benchmarks/{name}.yaml" for name in (DETECTION, "photodigits_segmentation")]
    return partial(load_changed, tmp_path, {DEFAULT: [grid, points], **{name: [points] for name in dense}})


def test_what_the_first_picture_needs_comes_before_all_else(load: Load) -> None:
    config = load()
    order = Order(config)
    # The first picture that needs no training, and the data and the teacher of its benchmark.
    first = [("draw_examples", {"benchmark": NAME, "method": "webp"}), ("train_teacher", BODY)]
    first += [("prepare_data", {"dataset": "photodigits"})]
    first += [("export", run("webp", point)) for point in config.benchmarks[NAME].methods["webp"].points]
    assert {order.priority(stage, keys) for stage, keys in first} == {FIRST}
    assert len(order.needed_first) == len(first)
    assert order.priority("draw_examples", {"benchmark": NAME, "method": "entropic_student"}) == REST


def test_of_two_chains_the_longer_one_is_first(load: Load) -> None:
    order = Order(load())
    distills = [run("entropic_student", point, phase="distill") for point in POINTS]
    ranks = [order.priority("train", keys) for keys in distills]
    # At the last point: its own second phase, then the two phases of the same run on another benchmark. There, each
    # point waits for both phases of the one before.
    assert [rank - ranks[-1] for rank in ranks] == [4, 2, 0]
    assert order.waiting["train", *distills[-1].values()] == 3
    alone = order.priority("train", run("local_model", "8", phase="train"))
    assert order.priority("train_teacher", BODY) > ranks[0] > alone > REST
    assert order.priority("train_teacher", {"benchmark": DETECTION, "seed": "0"}) > alone


def test_data_is_prepared_before_anything_is_trained_and_latency_is_last(load: Load) -> None:
    order = Order(load())
    chain = order.priority("train", run("entropic_student", "0.06", phase="distill"))
    assert order.priority("prepare_data", {"dataset": "photodigits_scenes"}) > chain
    keys = {"benchmark": NAME, "method": "webp"}
    assert order.priority("measure_latency", keys) == LATENCY < REST
    assert order.priority("model_latency", {"benchmark": NAME}) == LATENCY
    assert order.priority("plot_figure", {"benchmark": NAME, "figure": "exrd"}) == REST
    assert order.priority("evaluate", run("webp", "10")) == order.priority("make_tables", {"benchmark": NAME}) == REST


def test_without_a_picture_of_a_method_without_training_nothing_is_put_first(tmp_path: Path) -> None:
    shown = put("examples", {"methods": ["entropic_student"]})
    order = Order(load_changed(tmp_path, {DEFAULT: [shown]}))
    assert order.needed_first == frozenset()
    assert order.priority("prepare_data", {"dataset": "photodigits"}) < FIRST


def test_a_fetched_teacher_counts_as_one(tmp_path: Path) -> None:
    config = load_changed(
        tmp_path,
        {
            "config.yaml": [
                put("benchmarks", {"imagenette_efficientnet_lite0": ["jpeg", "bottleneck_unit"]}),
                put("groups", {}),
            ]
        },
    )
    order, keys = Order(config), {"benchmark": "imagenette_efficientnet_lite0", "seed": "0"}
    assert order.priority("fetch_teacher", keys) > order.priority("evaluate_teacher", keys)
