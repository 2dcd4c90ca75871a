"""Arguments of `sc2 report`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_report(commands: "Commands") -> None:
    """Add the parser of `sc2 report`."""
    parser = commands.add_parser("report", help="write a page that shows the results, one file that needs no server")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (default: results)"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("report/index.html"),
        help="the file to write (default: report/index.html)",
    )
    parser.add_argument(
        "--benchmark", nargs="+", default=[], metavar="NAME", help="show these benchmarks (default: all with tables)"
    )
    parser.add_argument(
        "--reference",
        type=Path,
        default=Path("docs/reference"),
        help="folder of snapshots, for benchmarks without results (default: docs/reference)",
    )
    parser.set_defaults(run=_report)


def _report(arguments: argparse.Namespace) -> None:
    from sc2.commands.report import write_report

    write_report(arguments.results, arguments.output, arguments.benchmark, arguments.reference)
