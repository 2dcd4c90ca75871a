"""The command line: every help is there without a heavy import, and errors are one message and status 2."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sc2.cli import build_parser, main
from sc2.jobs.stages import STAGES
from sc2.version import VERSION

TOOLS = ("encode", "decode", "methods", "inspect", "trace", "verify", "pull", "push", "schema", "dvc")


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """A stage settles the environment of its process, which is that of all tests here."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sc2", *arguments], capture_output=True, text=True, cwd=cwd, check=False
    )


def test_help_lists_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    for command in (*TOOLS, *STAGES):
        assert re.search(rf"^    {command}\b", done.stdout, re.MULTILINE), f"{command} is not in the help"


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"sc2 {VERSION}\n")


@pytest.mark.parametrize("command", [*TOOLS, *STAGES])
def test_every_command_has_a_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: sc2 {command} ")


def test_no_help_imports_a_heavy_library() -> None:
    script = (
        "import contextlib, io, sys\n"
        "from sc2.cli import build_parser\n"
        "for command in sys.argv[1:]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "        build_parser().parse_args([command, '--help'])\n"
        "heavy = {'torch', 'numpy', 'pandas', 'sklearn', 'matplotlib', 'PIL', 'pydantic', 'yaml', 'snakemake'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    commands = [*TOOLS, *STAGES]
    done = subprocess.run([sys.executable, "-c", script, *commands], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_takes_its_keys_inputs_and_outputs(stage: str) -> None:
    arguments = [stage, "--record", "r.json", "--job", "id", "--threads", "2", "--config", "c.yaml"]
    for key in STAGES[stage].keys:
        arguments += [f"--{key}", "value"]
    for name in STAGES[stage].inputs:
        arguments += [f"--{name.replace('_', '-')}", "in"]
    for name in STAGES[stage].outputs:
        arguments += [f"--out-{name.replace('_', '-')}", "out"]
    parsed = build_parser().parse_args(arguments)
    assert parsed.stage == stage
    for name, count in STAGES[stage].inputs.items():
        assert getattr(parsed, f"input_{name}") == ([Path("in")] if count == "many" else Path("in"))
    for name in STAGES[stage].outputs:
        assert getattr(parsed, f"output_{name}") == Path("out")
    for name, count in STAGES[stage].inputs.items():
        if count == "many":
            position = arguments.index(f"--{name.replace('_', '-')}")
            fewer = arguments[: position + 1] + arguments[position + 2 :]
            assert getattr(build_parser().parse_args(fewer), f"input_{name}") == []


@pytest.mark.parametrize(
    "arguments",
    [[], ["no_such_command"], ["encode"], ["train", "--benchmark", "b"], ["decode", "a", "b", "--top", "many"]],
)
def test_a_wrong_command_line_ends_with_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(arguments)
    assert done.value.code == 2
    assert "usage: sc2" in capsys.readouterr().err


def test_an_error_is_one_message_without_a_traceback(tmp_path: Path) -> None:
    done = run("decode", str(tmp_path / "server.pt"), "x.sc2", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"sc2: error: {tmp_path / 'server.pt'} does not exist")
    assert "Traceback" not in done.stderr


def test_a_wrong_configuration_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.yaml").write_text("benchmark: {}\n")
    assert main(["verify", "--config", str(tmp_path / "run.yaml")]) == 2
    error = capsys.readouterr().err
    assert "the configuration has 2 problems:" in error
    assert "did you mean 'benchmarks'?" in error


def test_a_job_that_is_not_planned_is_an_error(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["prepare_data", "--dataset", "imagenette", "--config", str(root / "config/config.yaml")]
    for name in STAGES["prepare_data"].outputs:
        arguments += [f"--out-{name}", str(tmp_path / name)]
    assert main([*arguments, "--record", str(tmp_path / "r.json")]) == 2
    assert "has no job prepare_data/imagenette" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_changed_since_it_was_planned_is_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["prepare_data", "--dataset", "photodigits", "--config", str(root / "config/config.yaml")]
    for name in STAGES["prepare_data"].outputs:
        arguments += [f"--out-{name}", str(tmp_path / name)]
    assert main([*arguments, "--record", str(tmp_path / "r.json"), "--job", "planned-before"]) == 2
    assert "changed after the workflow was planned; start it again" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_schema_writes_what_is_committed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "method_gone.schema.json").write_text("{}")
    assert main(["schema", str(tmp_path)]) == 0
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text() for path in (root / "config/schema").iterdir()}


def test_the_reader_of_our_output_may_leave() -> None:
    done = subprocess.run(
        f"'{sys.executable}' -c \"import sys; from sc2.cli import main\n"
        "import sc2.cli, argparse\n"
        "def endless(arguments):\n"
        "    while True: print('x' * 1000)\n"
        "parser = argparse.ArgumentParser(); parser.set_defaults(run=endless)\n"
        "sc2.cli.build_parser = lambda: parser\n"
        'sys.exit(main([]))" | head -n 1 | cut -c 1-3',
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("xxx\n", "")
