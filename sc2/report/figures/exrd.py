"""ExR–D: encoder size × data size against the task's quality, as upstream combines the two costs."""

import textwrap

import numpy as np
from matplotlib.figure import Figure

from sc2.report import style
from sc2.report.columns import KB
from sc2.report.labels import Placer, label_ends, label_teacher
from sc2.report.series import Context, Tables, collect, teacher_text, teacher_value

_LABEL = "Encoder size × data size per image (KB × KB, KB = 1024 B)"
_NOTE_CHARACTERS = 72


def draw(tables: Tables, context: Context) -> Figure:
    """Draw the methods that have an encoder; a codec's product is zero, which has no place on a logarithmic axis."""
    methods = collect(tables, context.methods)
    shown = [series for series in methods if series.has_encoder]
    left_out = [series.title for series in methods if not series.has_encoder]
    teacher = teacher_value(tables)
    figure, axes = style.new_figure(context.title, [series.title for series in shown])
    products = [(series, series.encoder_kb * series.data_kb) for series in shown]
    if products:
        style.log_axis(axes, np.concatenate([x for _, x in products]), _LABEL)
    else:
        style.no_axis(axes, _LABEL, "no method here has an encoder to ship")
    style.quality_axis(axes, methods, teacher, tables.quality.label)
    style.teacher_line(axes, teacher)
    for series, x in products:
        style.curve(axes, series, x, series.encoder_kb * series.data_bytes_std / KB)
    style.legend(figure, [style.handle(series) for series in shown])
    if left_out:
        note = f"Not shown: {', '.join(left_out)} (no encoder to ship: the product is 0)"
        axes.set_xlabel(f"{_LABEL}\n{textwrap.fill(note, _NOTE_CHARACTERS)}")
    placer = Placer(figure, axes)
    label_teacher(placer, teacher_text(tables), teacher)
    label_ends(placer, products)
    return figure
