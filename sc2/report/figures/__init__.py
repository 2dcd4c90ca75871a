"""One module per figure, each with `draw(tables, context) -> Figure`; `sc2.report.plot` finds them by name."""
