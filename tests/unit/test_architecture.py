"""The table of rooms in docs/architecture.md holds for the code: who may import whom, and what a job may depend on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sc2.config.load import load_config
from sc2.jobs.identity import Job, job
from sc2.jobs.plan import runs, trainings
from sc2.jobs.stages import HOOKS, STAGES
from sc2.methods import method_names, module_of
from sc2.provenance.fingerprint import fingerprint
from tests.imports import PACKAGE, circles, family, graph, room

PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"
METHOD_STAGES = [name for name, stage in STAGES.items() if stage.calls]


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its header."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`([a-z_0-9]+)`", cell)


ROOMS = {names(row[0])[0]: names(row[2]) for row in table("Rooms")}


def arrows() -> dict[str, dict[str, set[str]]]:
    """Return by room the rooms that it imports, with the imports that make it so."""
    found: dict[str, dict[str, set[str]]] = {name: {} for name in ROOMS}
    for file, targets in graph().items():
        for target in targets:
            if room(file) != room(target):
                found[room(file)].setdefault(room(target), set()).add(f"{file} → {target}")
    return found


def test_every_room_is_in_the_table() -> None:
    assert set(ROOMS) == {room(file) for file in graph()} - {"__init__"}


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_what_the_table_allows(name: str) -> None:
    forbidden = {other: sorted(why) for other, why in arrows()[name].items() if other not in ROOMS[name]}
    assert not forbidden


@pytest.mark.parametrize("name", ROOMS)
def test_the_table_allows_no_more_than_is_used(name: str) -> None:
    assert set(ROOMS[name]) == set(arrows()[name])


def test_no_room_imports_upwards() -> None:
    order = list(ROOMS)
    upwards = {name: [o for o in allowed if order.index(o) >= order.index(name)] for name, allowed in ROOMS.items()}
    assert not {name: others for name, others in upwards.items() if others}


def test_no_file_is_in_a_circle_of_imports() -> None:
    assert circles(dict(graph())) == []


def test_circles_are_found() -> None:
    assert circles({"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("b")}) == [["b", "c"]]


def test_no_family_imports_another_one() -> None:
    foreign = [
        f"{file} → {target}"
        for file, targets in graph().items()
        for target in targets
        if family(file) and family(target) and family(file) != family(target)
    ]
    assert foreign == []


@pytest.mark.parametrize("name", method_names())
@pytest.mark.parametrize("stage", METHOD_STAGES)
def test_a_method_s_jobs_depend_on_its_own_family_alone(stage: str, name: str) -> None:
    modules = [STAGES[stage].module, module_of(name)]
    files = [file.removeprefix("sc2/") for file in fingerprint(modules, without=STAGES[stage].never_calls).files]
    own = module_of(name).split(".")[2]
    assert {family(file) for file in files if family(file)} == {own}


DESCRIBE = {"cli", "commands", "config", "jobs", "provenance", "report", "version"}
"""What plans, names or describes a run. (Examples are drawn by the report.)"""


@pytest.mark.parametrize("name", method_names())
@pytest.mark.parametrize("stage", [stage for stage in METHOD_STAGES if stage != "draw_examples"])
def test_what_only_describes_a_run_is_no_part_of_it(stage: str, name: str) -> None:
    modules = [STAGES[stage].module, module_of(name)]
    files = fingerprint(modules, without=STAGES[stage].never_calls).files
    assert not {room(file.removeprefix("sc2/")) for file in files} & DESCRIBE


@pytest.mark.parametrize("name", method_names())
def test_a_training_needs_no_coder_and_a_device_or_server_no_training(name: str) -> None:
    """An edit of the coders reruns no training, one of a loss or a density no evaluation."""
    training, evaluation = (
        fingerprint([STAGES[stage].module, module_of(name)], without=STAGES[stage].never_calls).files
        for stage in ("train", "evaluate")
    )
    coders = ("coder", "factorized", "hyperprior", "neighbours", "range_decoder", "intervals")
    assert not {f"sc2/entropy/{file}.py" for file in coders} & set(training)
    assert not {file for file in evaluation if file.endswith(("/training.py", "/trained_priors.py", "/densities.py"))}


@pytest.mark.parametrize("stage", METHOD_STAGES)
def test_a_stage_calls_the_functions_of_a_method_that_it_says(stage: str) -> None:
    """What the code of a job leaves out is never called: not by the drivers, and not by what is left of the methods."""
    drivers = [tree_of(file.removeprefix("sc2/")) for file in fingerprint([STAGES[stage].module]).files]
    assert {name for tree in drivers for name in hooks_used(tree)} == set(STAGES[stage].calls)


def test_what_a_stage_keeps_of_a_method_does_not_call_what_it_may_leave_out() -> None:
    classes = [
        (file, node)
        for file in graph()
        if family(file)
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.ClassDef) and any(is_hook(part) for part in node.body)
    ]
    assert len(classes) > 10
    calls = {
        f"{file}: {part.name}": set(hooks_used(part))
        for file, node in classes
        for part in node.body
        if isinstance(part, ast.FunctionDef) and not is_hook(part)
    }
    assert not {name: used for name, used in calls.items() if used}


def tree_of(file: str) -> ast.Module:
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def is_hook(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name in HOOKS


def hooks_used(tree: ast.AST) -> Iterator[str]:
    """Yield the functions of a method that code calls, or takes from `get_method(…)`; `module.training` is none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in HOOKS:
            yield node.func.attr
        if isinstance(node, ast.Attribute) and node.attr in HOOKS and isinstance(node.value, ast.Call):
            yield node.attr


def closures(root: Path) -> list[Job]:
    config = load_config(root / "config" / "config.yaml")
    found = []
    for benchmark in config.benchmarks:
        for run in runs(config, benchmark):
            keys = {"benchmark": benchmark, "method": run.method, "point": run.point, "seed": run.seed}
            stages = [("train", {**keys, "phase": phase}) for phase in trainings(config, run)]
            for stage, its in [*stages, ("export", keys), ("evaluate", keys)]:
                planned = job(config, stage, its)
                assert planned is not None
                found.append(planned)
    return found


@pytest.mark.parametrize(
    ("file", "families"),
    [("layers/bottleneck.py", {"student", "gained"}), ("methods/student/network.py", {"student"})],
)
def test_an_edit_of_the_students_network_reruns_its_own_jobs_alone(root: Path, file: str, families: set[str]) -> None:
    """The case that the rooms were built for: g_a and g_s of the Entropic Student, which two families build."""
    concerned = [j for j in closures(root) if f"sc2/{file}" in j.fingerprint.files]
    assert {module_of(j.keys["method"]).split(".")[2] for j in concerned} == families


def test_an_edit_of_halves_trains_nothing_again(root: Path) -> None:
    trained = [j for j in closures(root) if j.stage == "train"]
    assert trained
    for planned in trained:
        assert not [f for f in planned.fingerprint.files if re.fullmatch(r"sc2/methods/.*halves.py", f)], planned.keys


LONGEST_FILE, LONGEST_FUNCTION = 300, 50


def test_files_and_functions_of_the_package_are_short() -> None:
    """Lines, docstrings included."""
    long_files = [
        file for file in graph() if len((PACKAGE / file).read_text(encoding="utf-8").splitlines()) > LONGEST_FILE
    ]
    functions = [
        f"{file}: {node.name}"
        for file in graph()
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long_files == []
    assert functions == []
