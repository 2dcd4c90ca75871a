"""The `sc2` command: a subcommand for each stage of the workflow, and tools around it.

The subcommand of a stage takes its keys, its input and output files and the configuration; it resolves its job, runs
the stage and writes the provenance record. Heavy imports happen inside the subcommand that needs them.
"""

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from sc2.commands.arguments import add_tools
from sc2.commands.run_file import add_config
from sc2.errors import SC2Error
from sc2.jobs.stages import STAGES, Stage
from sc2.version import VERSION


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 success, 1 a check found problems, 2 an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character must not end a command.
            stream.reconfigure(errors="backslashreplace")
    # A dependency of compressai compiles a class at import; users can do nothing about the warning.
    warnings.filterwarnings("ignore", message=".torch.jit.script. is deprecated", category=FutureWarning)
    arguments = build_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments) or 0)
    except SC2Error as error:
        print(f"sc2: error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "sc2":
            raise
        # On a device only what it needs is installed.
        print(
            f"sc2: error: this needs {error.name}, which is not installed; everything is in: "
            "pip install 'split-computing-sc2[all]'",
            file=sys.stderr,
        )
        return 2
    except BrokenPipeError:
        # The reader of the output has ended (`sc2 trace … | head`): print nothing more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="sc2", description="Split-computing compression, reproduced: stages of the workflow and tools around them."
    )
    parser.add_argument("--version", action="version", version=f"sc2 {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    add_tools(commands)
    for name, stage in STAGES.items():
        _add_stage(commands, name, stage)
    return parser


def _add_stage(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    stage: Stage,
) -> None:
    parser = commands.add_parser(name, help=f"stage: {stage.help}", description=f"Stage: {stage.help}.")
    add_config(parser)
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
    parser.add_argument("--job", metavar="ID", help="id of the planned job; refuse to run if it has changed since")
    if stage.sweeps:
        parser.add_argument(
            "--sweep",
            metavar="JSON",
            help="other operating points to train with this one: a list of objects with `point`, `previous`, `encoder` "
            "and `record`",
        )
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.set_defaults(run=_run_stage, stage=name)


def _option(name: str) -> str:
    return name.replace("_", "-")


def _run_stage(arguments: argparse.Namespace) -> None:
    from sc2.jobs.run import run_stage
    from sc2.jobs.sweep import members
    from sc2.system.surroundings import settle

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
        sweep=members(arguments.sweep or "[]") if stage.sweeps else [],
    )


if __name__ == "__main__":
    sys.exit(main())
