"""The arguments of the commands that share results and tell where they come from."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from sc2.commands.run_file import add_config

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_pull(commands: "Commands") -> None:
    """Add the parser of `sc2 pull`."""
    parser = commands.add_parser(
        "pull",
        help="fetch shared results from a DVC remote, check and verify them, remove stale ones",
        description="Fetch the results that the lock of the run file names (dvc.lock; of another run file, the .lock "
        "beside it), check each file, and keep what this checkout would make. Run again, it goes on where it stopped.",
        epilog="example: sc2 pull --benchmark photodigits_detection --method jpeg webp",
    )
    _add_common(parser)
    parser.add_argument("--force", action="store_true", help="replace results of your own that differ")
    parser.set_defaults(run=_pull)


def add_push(commands: "Commands") -> None:
    """Add the parser of `sc2 push`."""
    parser = commands.add_parser(
        "push",
        help="verify the results, write their lock, and upload to a DVC remote what it lacks",
        description="Verify the results, write the lock that names them (dvc.lock; of another run file, the .lock "
        "beside it), and upload what the remote lacks. Run again, it goes on where it stopped.",
        epilog="then share the lock: git add dvc.lock && git commit && git push",
    )
    _add_common(parser)
    parser.set_defaults(run=_push)


def add_dvc(commands: "Commands") -> None:
    """Add the parser of `sc2 dvc`."""
    parser = commands.add_parser("dvc", help="write dvc.yaml, which lists the run file's results for DVC")
    parser.add_argument("file", type=Path, nargs="?", default=Path("dvc.yaml"), help="default: dvc.yaml")
    add_config(parser)
    parser.set_defaults(run=_dvc)


def add_trace(commands: "Commands") -> None:
    """Add the parser of `sc2 trace`."""
    parser = commands.add_parser(
        "trace",
        help="print where a result comes from, down to data, teacher and commit",
        epilog="example, one row: sc2 trace results/tables/…/rate_quality.csv --row method=jpeg point=10",
    )
    parser.add_argument(
        "path",
        type=Path,
        help="any file under results/ (figure, table, example, checkpoint, …), or the id of a record, as rows name it",
    )
    parser.add_argument("--row", nargs="+", metavar="WHICH", help="of a table: a row's number, or COLUMN=VALUE …")
    parser.add_argument("--results", type=Path, default=Path("results"), help="where an id is looked for")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--full", action="store_true", help="print every job, without grouping")
    shape.add_argument("--json", action="store_true", help="print JSON: every record once, with its parents' ids")
    shape.add_argument(
        "--crate", type=Path, metavar="DIR", help="write a Workflow Run RO-Crate, with a page for browsers"
    )
    parser.set_defaults(run=_trace)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--remote", metavar="NAME", help="the DVC remote (default: DVC's default remote)")
    parser.add_argument(
        "--benchmark", nargs="+", default=[], metavar="NAME", help="only these, and what they are made from"
    )
    parser.add_argument(
        "--method", nargs="+", default=[], metavar="NAME", help="only these methods' runs, and what they are made from"
    )
    add_config(parser)


def _pull(arguments: argparse.Namespace) -> int:
    from sc2.commands.pull import pull
    from sc2.commands.shared import Wanted
    from sc2.config.load import load_config

    wanted = Wanted(tuple(arguments.benchmark), tuple(arguments.method))
    return pull(load_config(arguments.config), arguments.remote, wanted, force=arguments.force)


def _push(arguments: argparse.Namespace) -> int:
    from sc2.commands.push import push
    from sc2.commands.shared import Wanted
    from sc2.config.load import load_config

    wanted = Wanted(tuple(arguments.benchmark), tuple(arguments.method))
    return push(load_config(arguments.config), arguments.remote, wanted)


def _trace(arguments: argparse.Namespace) -> None:
    from sc2.provenance.graph import as_json, trace_any, trace_row
    from sc2.provenance.trace import format_trace

    path = arguments.path
    node = trace_any(path, arguments.results) if arguments.row is None else trace_row(path, arguments.row)
    if arguments.json:
        print(json.dumps(as_json(node), indent=1, ensure_ascii=False))
    elif arguments.crate is not None:
        from sc2.commands.crate import write_crate

        print(write_crate(node, arguments.crate))
    else:
        print(format_trace(node, full=arguments.full))


def _dvc(arguments: argparse.Namespace) -> None:
    from sc2.commands.dvc import write_dvc
    from sc2.config.load import load_config

    write_dvc(load_config(arguments.config), arguments.file)
    print(arguments.file)
