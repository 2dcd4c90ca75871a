"""The commands that take published weights: their arguments, and the function that each one calls."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sc2.commands.run_file import add_config

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_import_sc2bench(commands: "Commands") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "import-sc2bench",
        help="take a checkpoint of the published SC2 code in the place of a training",
        description="Convert and check a checkpoint of the published SC2 code, copy it into the data folder, and name "
        "it in released/ beside the run file: export, evaluation and tables then use it as if it had been trained.",
        epilog="example: sc2 import-sc2bench FILE.pt --benchmark ilsvrc2012_resnet50 --method entropic_student "
        "--point 0.16 --config config/paper.yaml",
    )
    _add_run(parser)
    parser.set_defaults(run=_import_released, frequencies=None)


def add_import_units(commands: "Commands") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "import-units",
        help="take a published bottleneck unit in the place of a training",
        description="Convert and check a published bottleneck unit and the table of how often its symbols occur, copy "
        "them into the data folder, and name them in released/ beside the run file: export, evaluation and tables then "
        "use the unit as if it had been trained.",
        epilog="example: sc2 import-units model7.pth.tar --frequencies freq7.pickle --benchmark ilsvrc2012_resnet50 "
        "--method bottleneck_unit --point layer4_q7.0179_s4_k32 --config config/paper.yaml",
    )
    _add_run(parser)
    parser.add_argument(
        "--frequencies", type=Path, required=True, help="its table: a published pickle, or JSON from symbol to count"
    )
    parser.set_defaults(run=_import_released)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, help="the file")
    parser.add_argument("--benchmark", required=True, help="benchmark of the run")
    parser.add_argument("--method", required=True, help="method of the run")
    parser.add_argument("--point", required=True, help="operating point of the run, e.g. 0.16")
    parser.add_argument("--seed", default="0", help="seed whose training it replaces (default: 0)")
    add_config(parser)


def _import_released(arguments: argparse.Namespace) -> None:
    from sc2.system.surroundings import settle

    settle(os.environ, threads=1)
    from sc2.commands.import_released import import_released
    from sc2.jobs.plan import Run

    run = Run(arguments.benchmark, arguments.method, arguments.point, arguments.seed)
    print(import_released(arguments.config, run, arguments.checkpoint, arguments.frequencies))
