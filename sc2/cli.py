"""The `sc2` command: one subcommand per stage of the workflow, and the tools around it.

Every subcommand of a stage takes its keys, its input and output files and the configuration; it resolves its own job,
runs the stage and writes the provenance record. Heavy imports happen inside the subcommand that needs them.
"""

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from sc2.errors import SC2Error
from sc2.jobs.stages import STAGES, Stage
from sc2.version import VERSION

DEFAULT_CONFIG = "config/config.yaml"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 a check found something, 2 an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character must not end a command.
            stream.reconfigure(errors="backslashreplace")
    # A dependency of compressai compiles a class at import; nothing that a user could do about it.
    warnings.filterwarnings("ignore", message=".torch.jit.script. is deprecated", category=FutureWarning)
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except SC2Error as error:
        print(f"sc2: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of our output has gone (`sc2 trace … | head`): nothing is left to say, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="sc2", description="Split-computing compression, reproduced: stages of the workflow and tools around them."
    )
    parser.add_argument("--version", action="version", version=f"sc2 {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_tools(commands)
    for name, stage in STAGES.items():
        _add_stage(commands, name, stage)
    return parser


def _add_tools(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    encode = commands.add_parser("encode", help="compress an image with a device half into a .sc2 file")
    encode.add_argument("checkpoint", type=Path, help="device.pt, or the folder that holds it")
    encode.add_argument("image", type=Path, help="any image that Pillow reads")
    encode.add_argument("-o", "--output", type=Path, required=True, help="the file to write, e.g. out.sc2")
    encode.set_defaults(run=_encode)

    decode = commands.add_parser(
        "decode",
        help="answer a .sc2 file with a server half, or with one per task",
        epilog="example, three answers to one payload: sc2 decode CLASSIFIER DETECTOR SEGMENTER photo.sc2",
    )
    decode.add_argument(
        "checkpoints", type=Path, nargs="+", metavar="checkpoint", help="server.pt, or the folder that holds it"
    )
    decode.add_argument("container", type=Path, help="the .sc2 file")
    decode.add_argument("--task", help="answer with the server half of this task only, e.g. detection")
    decode.add_argument("--top", type=int, default=5, help="classes or boxes to print (default: 5)")
    decode.add_argument("--json", action="store_true", help="print everything (logits, boxes, masks) as JSON")
    decode.set_defaults(run=_decode)

    methods = commands.add_parser("methods", help="list the methods, their rate axes, and the tasks they support")
    methods.add_argument("--json", action="store_true", help="print JSON")
    _add_config(methods)
    methods.set_defaults(run=_methods)

    inspect = commands.add_parser(
        "inspect",
        help="print what a split costs: parameters, bytes to ship, MACs, latent shape; needs no data and no weights",
        description="Print what a split costs on the device and on the server, counted with random weights, and what "
        "was measured of it where it has been evaluated.",
        epilog="example: sc2 inspect entropic_student --benchmark ilsvrc2012_resnet50 --point 0.16",
    )
    inspect.add_argument("method", metavar="METHOD", help="a method, see `sc2 methods`")
    inspect.add_argument("--benchmark", required=True, help="a file in benchmarks/ beside the run file")
    inspect.add_argument("--point", required=True, help="operating point, e.g. 0.16; need not be in the grid")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    inspect.add_argument("--results", type=Path, default=Path("results"), help="measurements (default: results)")
    _add_config(inspect)
    inspect.set_defaults(run=_inspect)

    trace = commands.add_parser("trace", help="print where a result comes from, down to data, teacher and commit")
    trace.add_argument("path", type=Path, help="any file under results/, e.g. results/figures/…/rate_accuracy.svg")
    trace.add_argument("--full", action="store_true", help="print every job, without grouping")
    trace.set_defaults(run=_trace)

    why = commands.add_parser(
        "why",
        help="say which key, file or input changed, for what would run again",
        description="Say what changed since a record was written: keys of the configuration, files of code, inputs.",
        epilog="without PATH: the configuration and code of every recorded job, grouped by what changed",
    )
    why.add_argument(
        "path", type=Path, nargs="?", metavar="PATH", help="an output of the job, e.g. results/train/…/distill.pt"
    )
    why.add_argument("--results", type=Path, default=Path("results"), help="folder to look through (default: results)")
    _add_config(why)
    why.set_defaults(run=_why)

    verify = commands.add_parser("verify", help="recompute all hashes; name what is stale, missing or edited")
    _add_config(verify)
    verify.add_argument("--results", type=Path, default=Path("results"), help="folder to check (default: results)")
    action = verify.add_mutually_exclusive_group()
    for name, shown in (
        ("prune", "which edited or stale outputs would be removed"),
        ("repair", "what puts all of it right: files and jobs"),
    ):
        action.add_argument(f"--{name}", dest="action", action="store_const", const=name, help=f"show {shown}")
    verify.add_argument("--yes", action="store_true", help="do what --prune or --repair shows")
    verify.set_defaults(run=_verify)

    pull = commands.add_parser("pull", help="fetch the published results (dvc pull), verify them, drop what is stale")
    pull.add_argument("--remote", metavar="NAME", help="the DVC remote (default: DVC's default remote)")
    _add_config(pull)
    pull.set_defaults(run=_pull)

    schema = commands.add_parser("schema", help="write the JSON schemas of the configuration files, for editors")
    schema.add_argument("folder", type=Path, nargs="?", default=Path("config/schema"), help="default: config/schema")
    schema.set_defaults(run=_schema)

    dvc = commands.add_parser("dvc", help="write dvc.yaml: which results of the run file DVC holds")
    dvc.add_argument("file", type=Path, nargs="?", default=Path("dvc.yaml"), help="default: dvc.yaml")
    _add_config(dvc)
    dvc.set_defaults(run=_dvc)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=Path(DEFAULT_CONFIG), help=f"the run file (default: {DEFAULT_CONFIG})"
    )


def _add_stage(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    stage: Stage,
) -> None:
    parser = commands.add_parser(name, help=f"stage: {stage.help}", description=f"Stage: {stage.help}.")
    _add_config(parser)
    for key in stage.keys:
        parser.add_argument(f"--{key}", required=True, help=f"{key} of the job")
    for entry, count in stage.inputs.items():
        several = "*" if count == "many" else None
        parser.add_argument(
            f"--{_option(entry)}",
            dest=f"input_{entry}",
            type=Path,
            nargs=several,
            required=count == "one",
            default=[] if several else None,
            metavar="PATH",
            help=f"input: {entry}",
        )
    for output in stage.outputs:
        parser.add_argument(
            f"--out-{_option(output)}",
            dest=f"output_{output}",
            type=Path,
            required=True,
            metavar="PATH",
            help=f"output: {output}",
        )
    parser.add_argument("--record", type=Path, required=True, metavar="PATH", help="provenance record to write")
    parser.add_argument("--job", metavar="ID", help="id of the planned job; refuse to run when it has changed since")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.set_defaults(run=_run_stage, stage=name)


def _option(name: str) -> str:
    return name.replace("_", "-")


def _run_stage(arguments: argparse.Namespace) -> None:
    from sc2.jobs.run import run_stage
    from sc2.surroundings import settle

    settle(os.environ, threads=arguments.threads)
    stage = STAGES[arguments.stage]
    run_stage(
        arguments.stage,
        config_path=arguments.config,
        keys={key: getattr(arguments, key) for key in stage.keys},
        inputs={name: getattr(arguments, f"input_{name}") for name in stage.inputs},
        outputs={name: getattr(arguments, f"output_{name}") for name in stage.outputs},
        record=arguments.record,
        planned_id=arguments.job,
        threads=arguments.threads,
    )


def _encode(arguments: argparse.Namespace) -> None:
    from sc2.commands.link import encode_file

    print(encode_file(arguments.checkpoint, arguments.image, arguments.output))


def _decode(arguments: argparse.Namespace) -> None:
    from sc2.commands.link import decode_file

    print(
        decode_file(
            arguments.checkpoints,
            arguments.container,
            task=arguments.task,
            top=arguments.top,
            as_json=arguments.json,
        )
    )


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


def _trace(arguments: argparse.Namespace) -> None:
    from sc2.provenance.trace import format_trace, trace

    print(format_trace(trace(arguments.path), full=arguments.full))


def _why(arguments: argparse.Namespace) -> None:
    from sc2.commands.why import why
    from sc2.config.load import load_config
    from sc2.jobs.identity import job

    config = load_config(arguments.config)
    print(why(lambda stage, keys: job(config, stage, keys), arguments.path, arguments.results))


def _verify(arguments: argparse.Namespace) -> int:
    from sc2.commands.verify import verify_results

    if arguments.yes and arguments.action is None:
        raise SC2Error("--yes says to do what --prune or --repair shows; give one of them")
    return verify_results(arguments.config, arguments.results, arguments.action, agreed=arguments.yes)


def _pull(arguments: argparse.Namespace) -> int:
    from sc2.commands.pull import pull
    from sc2.config.load import load_config

    return pull(load_config(arguments.config), arguments.remote)


def _schema(arguments: argparse.Namespace) -> None:
    from sc2.config.json_schema import write_schemas

    for path in write_schemas(arguments.folder):
        print(path)


def _dvc(arguments: argparse.Namespace) -> None:
    from sc2.commands.dvc import write_dvc
    from sc2.config.load import load_config

    write_dvc(load_config(arguments.config), arguments.file)
    print(arguments.file)


if __name__ == "__main__":
    sys.exit(main())
