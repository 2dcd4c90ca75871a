"""`sc2 methods`: the methods and the tasks that they support. No torch."""

import json
from pathlib import Path
from typing import Any

from sc2.commands.aligned import aligned
from sc2.config.load import load_titles
from sc2.methods import get_method, method_names
from sc2.split.axes import Axis, RateAxis
from sc2.tasks import task_names


def list_methods(config_path: Path, *, as_json: bool) -> str:
    """Return a line per method: name, title, rate axis, training phases, and for each task `supported` or why not.

    Args:
        config_path: The run file; titles are in `methods/` next to it.
        as_json: Whether to return a JSON list of objects; a supported task then has the reason null.

    Raises:
        ConfigError: A method's file has errors.
    """
    described = describe_methods(config_path)
    if as_json:
        return json.dumps(described, indent=2, ensure_ascii=False)
    header = ["method", "title", "rate axis", "training", *task_names()]
    return aligned([header, *(_line(method) for method in described)])


def describe_methods(config_path: Path) -> list[dict[str, Any]]:
    """Return name, title, rate axis, phases and task support of every method in `sc2/methods/`."""
    titles = load_titles(config_path)
    described = []
    for name in method_names():
        method = get_method(name)
        described.append(
            {
                "method": name,
                "title": titles[name],
                "rate_axis": _axis(method.rate_axis),
                "phases": list(method.phases()),
                "unsupported": {task: method.unsupported(task) for task in task_names()},
            }
        )
    return described


def _axis(axis: Axis) -> dict[str, Any]:
    """Return a numeric axis with its range, any other axis with the pattern of its points."""
    if isinstance(axis, RateAxis):
        return {"name": axis.name, "low": axis.low, "high": axis.high, "integer": axis.integer}
    return {"name": axis.name, "pattern": axis.pattern}


def _line(method: dict[str, Any]) -> list[str]:
    axis = method["rate_axis"]
    reasons = method["unsupported"].values()
    return [
        method["method"],
        method["title"],
        f"{axis['name']} {axis['low']:g} … {axis['high']:g}" if "low" in axis else axis["pattern"],
        ", ".join(method["phases"]) or "none",
        *("supported" if reason is None else f"no: {reason}" for reason in reasons),
    ]
