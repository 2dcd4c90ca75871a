"""The commands that are not stages: their arguments, and the function that each one calls.

A command's modules are imported only when it runs.
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sc2.commands.import_arguments import add_import_sc2bench, add_import_units
from sc2.commands.link_arguments import add_link
from sc2.commands.report_arguments import add_report
from sc2.commands.run_file import add_config
from sc2.commands.share_arguments import add_dvc, add_pull, add_push, add_trace
from sc2.errors import SC2Error

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_tools(commands: "Commands") -> None:
    """Add a parser for every command that is not a stage."""
    add_link(commands)
    for add in (
        _add_methods,
        _add_inspect,
        _add_plan,
        add_trace,
        _add_why,
        _add_verify,
        add_pull,
        add_push,
        _add_schema,
        add_dvc,
        add_import_sc2bench,
        add_import_units,
        add_report,
    ):
        add(commands)


def _add_methods(commands: "Commands") -> None:
    parser = commands.add_parser("methods", help="list the methods, their rate axes, and the tasks they support")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_config(parser)
    parser.set_defaults(run=_methods)


def _add_inspect(commands: "Commands") -> None:
    parser = commands.add_parser(
        "inspect",
        help="print what a split costs: parameters, bytes to ship, MACs, latent shape; needs no data and no weights",
        description="Print what a split costs on the device and on the server, counted with random weights, and the "
        "measurements if it has been evaluated.",
        epilog="example: sc2 inspect entropic_student --benchmark ilsvrc2012_resnet50 --point 0.16",
    )
    parser.add_argument("method", metavar="METHOD", help="name of a method, see `sc2 methods`")
    parser.add_argument("--benchmark", required=True, help="name of a file in benchmarks/ next to the run file")
    parser.add_argument("--point", required=True, help="operating point, e.g. 0.16, in the grid or not")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--results", type=Path, default=Path("results"), help="measurements (default: results)")
    add_config(parser)
    parser.set_defaults(run=_inspect)


def _add_plan(commands: "Commands") -> None:
    parser = commands.add_parser(
        "plan",
        help="summarise a run file before it is submitted: runs, trainings, hours, storage, what is shared",
        description="Print what a run file asks for. Hours come from step times in a file (--measured), from trainings "
        "that are there or, with --tflops, from the operations of a step; whatever is not known is shown as unknown.",
        epilog="example: sc2 plan --config config/paper.yaml --measured steps.json --images ilsvrc2012=1271167",
    )
    parser.add_argument(
        "--measure", type=Path, metavar="FILE", help="time a step of each kind of training here, and write the file"
    )
    parser.add_argument(
        "--benchmark", nargs="+", default=[], metavar="NAME", help="with --measure: only these benchmarks"
    )
    parser.add_argument(
        "--sizes", action="store_true", help="with --measure: only sizes of files and operations of steps, no times"
    )
    parser.add_argument("--measured", type=Path, metavar="FILE", help="step times that --measure wrote")
    parser.add_argument(
        "--images", nargs="+", default=[], metavar="NAME=COUNT", help="training images of data sets not yet prepared"
    )
    parser.add_argument(
        "--tflops",
        type=float,
        metavar="N",
        help="hours of steps that are not timed, on a device that does N x 10^12 floating-point operations per second",
    )
    parser.add_argument("--threads", type=int, default=1, help="with --measure: CPU threads (default: 1)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="what is there (default: results)")
    add_config(parser)
    parser.set_defaults(run=_plan)


def _add_why(commands: "Commands") -> None:
    parser = commands.add_parser(
        "why",
        help="say which key, file or input changed, for jobs that would run again",
        description="Print what changed since a record was written: keys of the configuration, files of code, inputs.",
        epilog="without PATH: changed configuration and code of all recorded jobs, grouped by change",
    )
    parser.add_argument(
        "path", type=Path, nargs="?", metavar="PATH", help="an output of the job, e.g. results/train/…/distill.pt"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder to search (default: results)")
    add_config(parser)
    parser.set_defaults(run=_why)


def _add_verify(commands: "Commands") -> None:
    parser = commands.add_parser("verify", help="recompute all hashes; list what is stale, missing or edited")
    add_config(parser)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder to check (default: results)")
    action = parser.add_mutually_exclusive_group()
    for name, shown in (
        ("prune", "which edited or stale outputs would be removed"),
        ("repair", "what would repair everything: files and jobs"),
    ):
        action.add_argument(f"--{name}", dest="action", action="store_const", const=name, help=f"show {shown}")
    parser.add_argument("--yes", action="store_true", help="do what --prune or --repair shows")
    parser.set_defaults(run=_verify)


def _add_schema(commands: "Commands") -> None:
    parser = commands.add_parser("schema", help="write the JSON schemas of the configuration files, for editors")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("config/schema"), help="default: config/schema")
    parser.set_defaults(run=_schema)


def _methods(arguments: argparse.Namespace) -> None:
    from sc2.commands.methods import list_methods

    print(list_methods(arguments.config, as_json=arguments.json))


def _inspect(arguments: argparse.Namespace) -> None:
    from sc2.commands.inspect import inspect

    print(
        inspect(
            arguments.config,
            arguments.method,
            arguments.benchmark,
            arguments.point,
            arguments.results,
            as_json=arguments.json,
        )
    )


def _plan(arguments: argparse.Namespace) -> None:
    from sc2.commands.measured import read_measured
    from sc2.commands.plan import Plan
    from sc2.config.load import load_config

    config = load_config(arguments.config)
    if arguments.measure is not None:
        from sc2.system.surroundings import settle

        settle(os.environ, threads=arguments.threads)
        from sc2.commands.measure import measure

        measure(config, arguments.measure, arguments.benchmark, times=not arguments.sizes)
    file = arguments.measured or arguments.measure
    images = dict(map(_images_of, arguments.images))
    measured = None if file is None else read_measured(file)
    if arguments.tflops is not None and not arguments.tflops > 0:
        raise SC2Error(f"--tflops {arguments.tflops:g}: must be more than 0")
    print(Plan(config, arguments.results, measured, images, arguments.tflops).text())


def _images_of(given: str) -> tuple[str, int]:
    name, _, count = given.partition("=")
    if not count.isdecimal() or not int(count):
        raise SC2Error(f"--images {given}: must be the name of a data set and a number, e.g. ilsvrc2012=1271167")
    return name, int(count)


def _why(arguments: argparse.Namespace) -> None:
    from sc2.commands.why import why
    from sc2.config.load import load_config
    from sc2.jobs.identity import job

    config = load_config(arguments.config)
    print(why(lambda stage, keys: job(config, stage, keys), arguments.path, arguments.results))


def _verify(arguments: argparse.Namespace) -> int:
    from sc2.commands.verify import verify_results

    if arguments.yes and arguments.action is None:
        raise SC2Error("--yes carries out what --prune or --repair shows; add one of them")
    return verify_results(arguments.config, arguments.results, arguments.action, agreed=arguments.yes)


def _schema(arguments: argparse.Namespace) -> None:
    from sc2.config.json_schema import write_schemas

    for path in write_schemas(arguments.folder):
        print(path)
