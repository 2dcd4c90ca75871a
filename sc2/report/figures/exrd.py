"""ExR–D: encoder size × data size against the task's quality, as upstream combines the two costs."""

import textwrap

from matplotlib.figure import Figure

from sc2.report import style
from sc2.report.axes import log_axis, no_axis
from sc2.report.columns import KB
from sc2.report.labels import Placer, label_corners, label_ends, label_teacher
from sc2.report.layout import Layout
from sc2.report.series import Context, Tables, collect, teacher_text, teacher_value

_LABEL = "Encoder size × data size per image (KB × KB, KB = 1024 B)"


def draw(tables: Tables, context: Context) -> Figure:
    """Draw the curves that have an encoder; a codec's product is zero, which has no place on a logarithmic axis."""
    curves = collect(tables, context.methods)
    shown = [series for series in curves if series.has_encoder]
    left_out = [series.title for series in curves if not series.has_encoder]
    teacher = teacher_value(tables)
    layout = Layout(style.entries(shown))
    figure, axes = layout.figure(context.title)
    style.quality_axis(axes, curves, teacher, tables.quality.label)
    style.teacher_line(axes, teacher)
    drawn = []
    if shown:
        products = [(series, series.encoder_kb * series.data_kb) for series in shown]
        scale = log_axis(axes, products, _LABEL)
        for series, product in products:
            errors = scale.length(series.encoder_kb * series.data_bytes_errors / KB)
            drawn.append((series, scale(product)))
            style.curve(axes, *drawn[-1], errors, style.few(shown))
    else:
        no_axis(axes, _LABEL, "no method here has an encoder to ship")
    layout.legend(figure)
    if left_out:
        note = f"Not shown: {', '.join(left_out)} (no encoder to ship: the product is 0)"
        axes.set_xlabel(f"{_LABEL}\n{_balanced(note, layout.title_characters + 6)}")
    placer = Placer(figure, axes)
    label_teacher(placer, teacher_text(tables), teacher)
    label_corners(placer, drawn)
    label_ends(placer, drawn)
    return figure


def _balanced(text: str, width: int) -> str:
    """Return `text` in as few lines of at most `width` characters as it needs, of about the same length."""
    needed = len(textwrap.wrap(text, width))
    return next(
        "\n".join(lines)
        for narrow in range(len(text) // needed, width + 1)
        if len(lines := textwrap.wrap(text, narrow)) == needed
    )
