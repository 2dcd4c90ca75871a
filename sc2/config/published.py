"""Reads what is published of methods, from `published/` beside the run file. No torch."""

from sc2.config.explain import choices
from sc2.config.reader import Reader
from sc2.config.yaml_files import Content
from sc2.measure.spec import Ordering
from sc2.methods import method_names
from sc2.tasks import task_names

TEACHER = "teacher"
"""What an ordering calls the teacher, which is no method."""


def read_orderings(reader: Reader) -> dict[str, Ordering]:
    """Return the published orderings by name, in the order of their file; none where there is no such file."""
    file = reader.folder / "published" / "orderings.yaml"
    content = reader.read(file) if file.is_file() else {}
    orderings: dict[str, Ordering] = {}
    for name, values in (content or {}).items():
        ordering = reader.model(Ordering, Content(((file, content or {}),)), values, (name,))
        if ordering is None:
            continue
        orderings[name] = ordering
        for key, allowed in (("method", method_names()), ("other", [*method_names(), TEACHER])):
            if getattr(ordering, key) not in allowed:
                reader.add(file, (name, key), f"unknown method; {choices(getattr(ordering, key), allowed)}")
        for position, task in enumerate(ordering.tasks):
            if task not in task_names():
                reader.add(file, (name, "tasks", position), f"unknown task; {choices(task, task_names())}")
        if ordering.other == TEACHER and ordering.metric != "best_quality":
            reader.add(file, (name, "metric"), "a teacher sends nothing and has no encoder: use best_quality")
    return orderings
