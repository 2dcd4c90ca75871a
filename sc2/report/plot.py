"""Stage `plot_figure`: one figure from the tables, drawn by the module of `sc2.report.figures` that has its name."""

import importlib
from typing import Protocol, cast

from matplotlib.figure import Figure

from sc2.drawing import DrawingJob
from sc2.report import style
from sc2.report.series import READ, Context, Tables, read_tables


class Drawing(Protocol):
    """What a module of `sc2.report.figures` offers."""

    def draw(self, tables: Tables, context: Context) -> Figure:
        """Draw the figure."""


def run(job: DrawingJob) -> None:
    """Draw `job.spec["figure"]` from `rate_quality`, `latency` and `teacher` into `svg` and `png`.

    Raises:
        DataError: A table is unreadable, or none of the methods has a run.
    """
    spec = job.spec
    tables = read_tables({name: job.input(name) for name in READ}, spec["methods"])
    width, height = spec.get("input_px", (0, 0))
    published = spec.get("published", [])
    context = Context(str(spec["title"]), tuple(tables.facts), published, int(width) * int(height))
    figure = render(str(spec["figure"]), tables, context)
    style.save(figure, job.outputs["svg"], job.outputs["png"], context.title, job.uncommitted)


def render(name: str, tables: Tables, context: Context) -> Figure:
    """Draw the figure called `name`, a file of `sc2/report/figures/`, in the common look."""
    drawing = cast(Drawing, importlib.import_module(f"sc2.report.figures.{name}"))
    with style.applied():
        return drawing.draw(tables, context)
