"""Stage `compare_tasks`: the benchmarks of a group side by side, and what it costs to serve all their tasks at once."""

from sc2.drawing import DrawingJob
from sc2.report import overview, serving, style
from sc2.report.columns import serving_columns
from sc2.report.series import READ, read_tables
from sc2.report.table_io import Row, write_table


def run(job: DrawingJob) -> None:
    """Write `serving` and draw the overview into `svg` and `png`.

    The inputs are the benchmarks' tables in the order of the spec's `titles` and `inputs`.

    Raises:
        DataError: A table is unreadable.
    """
    files = zip(*(job.input_list(name) for name in READ), strict=True)
    benchmarks = [read_tables(dict(zip(READ, paths, strict=True)), job.spec["methods"]) for paths in files]
    group, titles = job.keys["group"], list(job.spec["titles"])
    source = job.input_list("rate_quality")[0]
    rows = [Row(source, values) for values in serving.rows(group, benchmarks, job.spec["inputs"])]
    write_table(job.outputs["serving"], serving_columns(), rows)
    title = f"{group}: {len(benchmarks)} tasks"
    with style.applied():
        figure = overview.draw(title, titles, benchmarks)
    style.save(figure, job.outputs["svg"], job.outputs["png"], title, job.uncommitted)
