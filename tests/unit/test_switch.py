"""What has to be sent to switch between two halves, on halves whose differences are known."""

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sc2.job import RunningJob
from sc2.measure.latency import Call, Timing
from sc2.measure.spec import LatencySpec
from sc2.measure.switch import HalfContents
from sc2.runs import latency, switch
from sc2.runs.switch import switches

SHARED, OLD, NEW = torch.arange(10.0), torch.ones(4), torch.zeros(6)


def half(*tensors: Tensor, **values: Any) -> HalfContents:
    return HalfContents.of({"state": {str(i): tensor for i, tensor in enumerate(tensors)}, **values}, None)


def test_only_what_differs_is_sent() -> None:
    one, other = half(SHARED, OLD), half(SHARED.clone(), NEW)
    assert one.missing_bytes(other) == 6 * 4
    assert other.missing_bytes(one) == 4 * 4
    assert one.missing_bytes(one) == 0
    assert other.num_bytes == (10 + 6) * 4


def test_place_and_plain_values_do_not_count_but_type_and_shape_do() -> None:
    assert half(SHARED, OLD).missing_bytes(half(OLD.clone(), SHARED.clone(), step=2.0, tables={"cdf": [OLD]})) == 0
    assert half(OLD).missing_bytes(half(OLD.view(2, 2))) == 16
    assert half(OLD).missing_bytes(half(OLD.double())) == 32
    assert half(SHARED).missing_bytes(half(NEW, NEW.clone())) == 24  # equal ones are sent once


def test_nested_tensors_are_found() -> None:
    nested = HalfContents.of({"a": [{"b": (SHARED, "text", None, 3)}]}, None)
    assert nested.num_bytes == 40


def network(weight: float, extra: float) -> nn.Sequential:
    layers = OrderedDict(shared=nn.Linear(3, 3), own=nn.Linear(3, 2, bias=False), norm=nn.BatchNorm1d(2))
    model = nn.Sequential(layers)
    with torch.no_grad():
        model.shared.weight.fill_(0.5)
        model.shared.bias.fill_(0.25)
        model.own.weight.fill_(weight)
        model.norm.running_mean.fill_(extra)
    return model.eval()


def contents(model: nn.Module, *tables: Tensor) -> HalfContents:
    return HalfContents.of({"state": model.state_dict(), "tables": list(tables)}, model)


def test_loading_gives_the_wanted_network() -> None:
    one, other = network(1, 2), network(3, 4)
    wanted = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    load = contents(one).loading(contents(other))
    assert load is not None
    with torch.no_grad():
        other.own.weight.fill_(-1)
        other.norm.running_mean.fill_(-1)
        other.shared.weight.fill_(7)
    load()
    assert all(torch.equal(other.state_dict()[name], wanted[name]) for name in ("own.weight", "norm.running_mean"))
    # What both hold is not loaded again.
    assert other.shared.weight.unique().tolist() == [7]


def test_nothing_to_load_is_no_call() -> None:
    assert contents(network(1, 2)).loading(contents(network(1, 2))) is None
    assert half(SHARED).loading(half(SHARED)) is None


def test_tables_alone_are_loaded_too() -> None:
    load = contents(network(1, 2)).loading(contents(network(1, 2), NEW))
    assert load is not None
    load()


def test_a_row_per_ordered_pair() -> None:
    models = {"1": network(5, 5), "2": network(6, 6), "4": network(6, 5)}
    nothing = HalfContents.of({}, None)
    points = {point: {"device": contents(model), "server": nothing} for point, model in models.items()}
    rows = switches(points, LatencySpec(repeats=2, warmup=1))
    found = {(row["from_point"], row["to_point"]): row for row in rows}
    weight, mean = 6 * 4, 2 * 4
    sent = {pair: row["device_switch_bytes"] for pair, row in found.items()}
    assert sent == {
        **{("1", "2"): weight + mean, ("2", "1"): weight + mean},
        **{("1", "4"): weight, ("4", "1"): weight, ("2", "4"): mean, ("4", "2"): mean},
    }
    assert all(row["device_switch_ms_p50"] > 0 for row in found.values())
    assert all(row["server_switch_bytes"] == row["server_switch_ms_p50"] == 0 for row in found.values())


def test_switches_that_load_the_same_shapes_are_timed_as_one() -> None:
    models = {"1": network(5, 5), "2": network(6, 6), "4": network(6, 5)}
    rows = switches({point: {"server": contents(model)} for point, model in models.items()}, LatencySpec(repeats=2))
    times: dict[int, set[float]] = {}
    for row in rows:
        times.setdefault(row["server_switch_bytes"], set()).add(row["server_switch_ms_p50"])
    # Both layers, the first, or the second: of six switches, three differ.
    assert [len(times[size]) for size in (24 + 8, 24, 8)] == [1, 1, 1]


def test_of_switches_that_differ_by_the_size_of_tables_the_one_with_the_largest_is_timed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timed: dict[str, Call] = {}

    def of_bytes(calls: dict[str, Call], *, budget_s: float) -> dict[str, Timing]:
        timed.update(calls)
        return {name: Timing.of([float(len(call.run.received))]) for name, call in calls.items()}  # type: ignore[attr-defined]

    monkeypatch.setattr(switch, "time_in_turn", of_bytes)
    tables = {"1": torch.arange(10), "2": torch.arange(900), "4": torch.arange(500), "6": torch.ones(900)}
    points = {point: {"server": contents(network(1, 2), table)} for point, table in tables.items()}
    rows = switches(points, LatencySpec(repeats=100))
    loads = {point: contents(network(1, 2)).loading(sides["server"]) for point, sides in points.items()}
    size = {point: len(load.received) for point, load in loads.items() if load is not None}
    assert {row["server_switch_ms_p50"] for row in rows if row["to_point"] in ("1", "2", "4")} == {size["2"]}
    # Of another type: another kind.
    assert {row["server_switch_ms_p50"] for row in rows if row["to_point"] == "6"} == {size["6"]}
    assert [call.repeats for call in timed.values()] == [25, 25]


def test_one_point_has_nothing_to_switch_to() -> None:
    assert switches({"1": {"device": contents(network(5, 5))}}, LatencySpec()) == []


def test_halves_of_another_point_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of a method's runs come in the order of the plan; one that stands in another's place is seen."""
    for load in ("load_device", "load_server"):
        monkeypatch.setattr(latency, load, lambda path: (None, {"point": "1"}))
    monkeypatch.setattr(latency, "_images", lambda job: [])
    spec = {"runs": [["4", "0"]], "latency": {"repeats": 1, "warmup": 0}}
    inputs = {"devices": [Path("device.pt")], "servers": [Path("server.pt")]}
    job = RunningJob("measure_latency", {"benchmark": "b", "method": "m"}, spec, inputs, {}, "0" * 16)
    with pytest.raises(AssertionError, match=r"device\.pt is not of the point 4"):
        latency.run(job)


def test_networks_of_the_same_layers_are_timed_as_one() -> None:
    images = [np.zeros((8, 8, 3), np.uint8)]

    def name(model: nn.Module, images: list[np.ndarray] = images) -> str:
        sides = {"device": contents(model), "server": HalfContents.of({}, None)}
        return latency._networks(sides, images)["encoder"]

    assert name(network(1, 2)) == name(network(3, 4))
    assert name(network(1, 2)) != name(nn.Sequential(network(1, 2), nn.ReLU()))
    assert name(network(1, 2)) != name(network(1, 2), [np.zeros((9, 8, 3), np.uint8)])
    assert name(nn.Conv2d(3, 4, 3)) != name(nn.Conv2d(3, 4, 3, stride=2))
    assert latency._networks(dict.fromkeys(("device", "server"), HalfContents.of({}, None)), images) == {}
