"""Rate–accuracy: data size per image against the task's quality, a line per curve; hollow, what is published."""

from matplotlib.figure import Figure

from sc2.report import style
from sc2.report.axes import data_axis
from sc2.report.labels import Placer, label_corners, label_ends, label_teacher
from sc2.report.layout import Layout
from sc2.report.overlay import beside, hollow, published_curves
from sc2.report.series import Context, Tables, collect, teacher_text, teacher_value


def draw(tables: Tables, context: Context) -> Figure:
    """Draw the curves of `context.methods`, their published points, and the teacher's quality as a line."""
    curves = collect(tables, context.methods)
    teacher = teacher_value(tables)
    layout = Layout(style.entries(curves))
    figure, axes = layout.figure(context.title)
    published = beside(curves, published_curves(context.published, tables.quality.primary, context.pixels))
    scale = data_axis(axes, [*curves, *published])
    style.quality_axis(axes, [*curves, *published], teacher, tables.quality.label)
    style.teacher_line(axes, teacher)
    for series in curves:
        errors = scale.length(series.data_bytes_errors)
        style.curve(axes, series, scale(series.data_bytes), errors, style.few(curves))
    hollow(axes, published, scale)
    layout.legend(figure)
    placer = Placer(figure, axes)
    drawn = [(series, scale(series.data_bytes)) for series in curves]
    label_teacher(placer, teacher_text(tables), teacher)
    label_corners(placer, drawn)
    label_ends(placer, drawn)
    return figure
