"""The rules of the workflow and the table of stages say the same: names, files, wildcards and options of every job."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from sc2.jobs.stages import STAGES

RULES = Path(__file__).parents[2] / "workflow" / "rules"


@dataclass(frozen=True)
class Rule:
    """One rule as it is written.

    Attributes:
        entries: Source text by name, in each section: `input`, `output`, `params`.
        log: Path of the log.
        shell: Lines of the command.
    """

    entries: dict[str, dict[str, str]]
    log: str
    shell: list[str]


def rules_in(text: str) -> dict[str, Rule]:
    """Return the rules of a file by name."""
    blocks = re.split(r"^rule (\w+):\n", text, flags=re.MULTILINE)[1:]
    return {name: rule(block) for name, block in zip(blocks[::2], blocks[1::2], strict=True)}


def rule(block: str) -> Rule:
    sections = dict(re.findall(r"^    (\w+):\n((?:^        .*\n|^\n)+)", block, re.MULTILINE))
    entries = {
        section: dict(re.findall(r"^        (\w+)=(.*),$", sections.get(section, ""), re.MULTILINE))
        for section in ("input", "output", "params")
    }
    command = [line.strip().removesuffix(" \\") for line in sections["shell"].splitlines() if line.strip()]
    return Rule(entries, sections["log"], command[1:-1])


def problems(name: str, found: Rule) -> list[str]:
    """Say where a rule differs from the stage of its name."""
    stage = STAGES[name]
    inputs, outputs = found.entries["input"], found.entries["output"]
    told = []
    if list(inputs) != list(stage.inputs):
        told.append(f"inputs: {list(inputs)}, the stage has {list(stage.inputs)}")
    if list(outputs) != [*stage.outputs, "record"]:
        told.append(f"outputs: {list(outputs)}, the stage has {[*stage.outputs, 'record']}")
    for path in (*outputs.values(), found.log):
        if wildcards(path) != set(stage.keys):
            told.append(f"wildcards of {path.strip()}: the stage's keys are {stage.keys}")
    told += [f"an unknown wildcard in {path}" for path in inputs.values() if wildcards(path) - set(stage.keys)]
    params = {"job": f'job_id("{name}")', "config": "run_file"} | ({"sweep": "swept"} if stage.sweeps else {})
    if found.entries["params"] != params:
        told.append(f"params: {found.entries['params']}")
    if found.shell[:-1] != command(name) or not re.fullmatch(r"--threads (\{threads\}|1) .*", found.shell[-1]):
        told.append(f"command: {found.shell}")
    return told


def wildcards(path: str) -> set[str]:
    """Return the wildcards in a literal path; in an expression that computes it there is none to see."""
    return set(re.findall(r"\{(\w+)\}", path)) if re.match(r'\s*(shown\()?"', path) else set()


def command(name: str) -> list[str]:
    """Return the command line of a stage without the number of threads."""
    stage = STAGES[name]
    return [
        f"python -m sc2 {name}",
        "--config {params.config:q}",
        *(f"--{key} {{wildcards.{key}:q}}" for key in stage.keys),
        *(f"--{entry.replace('_', '-')} {{input.{entry}:q}}" for entry in stage.inputs),
        *(f"--out-{entry.replace('_', '-')} {{output.{entry}:q}}" for entry in stage.outputs),
        "--record {output.record:q}",
        "--job {params.job:q}",
        *(["{params.sweep:q}"] if stage.sweeps else []),
    ]


def written() -> dict[str, str]:
    """The files of rules by name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(RULES.glob("*.smk"))}


def test_every_stage_has_a_rule_and_every_rule_is_a_stage() -> None:
    names = [name for text in written().values() for name in rules_in(text)]
    assert sorted(names) == sorted(STAGES)


@pytest.mark.parametrize("stage", STAGES)
def test_the_rule_has_the_files_the_wildcards_and_the_command_of_its_stage(stage: str) -> None:
    [found] = [rules[stage] for rules in map(rules_in, written().values()) if stage in rules]
    assert problems(stage, found) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('        comparison=shown("results/tables/{benchmark}/comparison.csv"),\n', "", "outputs"),
        ("        switches=switches,\n", "", "inputs"),
        ("        summaries=summaries,\n", "        summary=summaries,\n", "inputs"),
        ("{benchmark}/latency.csv", "{group}/latency.csv", "wildcards"),
        ("logs/tables/{benchmark}.log", "logs/tables.log", "wildcards"),
        (
            'teachers=of_teachers("evaluation.json")',
            'teachers="results/teachers/{method}/evaluation.json"',
            "unknown wildcard",
        ),
        ("--benchmark {wildcards.benchmark:q}", "--benchmark photodigits", "command"),
        ("            --out-switch {output.switch:q} \\\n", "", "command"),
        ('job_id("make_tables")', 'job_id("plot_figure")', "params"),
    ],
)
def test_a_rule_that_drifts_is_noticed(old: str, new: str, told: str) -> None:
    text = written()["report.smk"]
    start, end = text.index("rule make_tables:"), text.index("rule plot_figure:")
    assert old in text[start:end]
    changed = rules_in(text[start:end].replace(old, new, 1))["make_tables"]
    assert any(told in problem for problem in problems("make_tables", changed)), problems("make_tables", changed)
