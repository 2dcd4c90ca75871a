"""Rate–accuracy: data size per image against the task's quality, a line per method."""

from matplotlib.figure import Figure

from sc2.report import style
from sc2.report.labels import Placer, label_ends, label_teacher
from sc2.report.series import Context, Tables, collect, teacher_text, teacher_value


def draw(tables: Tables, context: Context) -> Figure:
    """Draw the curves of `context.methods` and the teacher's quality as a line."""
    methods = collect(tables, context.methods)
    teacher = teacher_value(tables)
    figure, axes = style.new_figure(context.title, [series.title for series in methods])
    scale = style.data_axis(axes, methods)
    style.quality_axis(axes, methods, teacher, tables.quality.label)
    style.teacher_line(axes, teacher)
    for series in methods:
        style.curve(axes, series, scale(series.data_bytes), scale(series.data_bytes_std))
    style.legend(figure, [style.handle(series) for series in methods])
    placer = Placer(figure, axes)
    label_teacher(placer, teacher_text(tables), teacher)
    label_ends(placer, [(series, scale(series.data_bytes)) for series in methods])
    return figure
