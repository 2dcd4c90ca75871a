"""The repository meets the rules of the Snakemake workflow catalogue, and its own report says what each output is."""

import re
from pathlib import Path

import pytest
import yaml

from sc2.config.load import load_config
from sc2.jobs.stages import STAGES

FLAGS = {"desc", "flags"}
DEPLOYMENT = {"conda", "apptainer", "apptainer+conda", "report"}


def problems(root: Path) -> list[str]:
    """What the catalogue would not accept, for "standardized usage"."""
    told = []
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8").lower() if readme.is_file() else ""
    told += [f"README.md does not say {word!r}" for word in ("snakemake", "workflow") if word not in text]
    told += [f"{name} is missing" for name in ("workflow/Snakefile", "config/README.md") if not (root / name).is_file()]
    if (root / "workflow/rules").is_dir() and not list((root / "workflow/rules").glob("*.smk")):
        told.append("workflow/rules holds no .smk")
    path = root / ".snakemake-workflow-catalog.yml"
    usage = yaml.safe_load(path.read_text(encoding="utf-8")).get("usage", {}) if path.is_file() else {}
    if set(usage) != {"mandatory-flags", "software-stack-deployment"}:
        return [*told, f"{path.name}: usage has {sorted(usage)}"]
    if set(usage["mandatory-flags"]) != FLAGS or not all(isinstance(v, str) for v in usage["mandatory-flags"].values()):
        told.append("mandatory-flags")
    deployment = usage["software-stack-deployment"]
    if set(deployment) != DEPLOYMENT or not all(isinstance(value, bool) for value in deployment.values()):
        told.append("software-stack-deployment")
    elif not (deployment["conda"] or deployment["apptainer"]):
        told.append("no way to deploy the software")
    return told


def test_the_repository_meets_the_rules(root: Path) -> None:
    assert problems(root) == []


def test_what_does_not_is_noticed(root: Path, tmp_path: Path) -> None:
    for name in ("README.md", "workflow/Snakefile", "config/README.md", ".snakemake-workflow-catalog.yml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text((root / name).read_text(encoding="utf-8"))
    (tmp_path / "workflow/rules").mkdir()
    assert problems(tmp_path) == ["workflow/rules holds no .smk"]
    (tmp_path / "config/README.md").unlink()
    catalogue = tmp_path / ".snakemake-workflow-catalog.yml"
    catalogue.write_text(catalogue.read_text().replace("conda: true", "conda: false", 1))
    assert "config/README.md is missing" in problems(tmp_path)
    assert "no way to deploy the software" in problems(tmp_path)
    catalogue.write_text("usage: {}\n")
    assert ".snakemake-workflow-catalog.yml: usage has []" in problems(tmp_path)


def test_every_rule_names_its_software(root: Path) -> None:
    """`--sdm conda`, which the catalogue is told of, needs it."""
    rules = [
        block for path in (root / "workflow/rules").glob("*.smk") for block in path.read_text().split("\nrule ")[1:]
    ]
    assert len(rules) == len(STAGES)
    assert all('conda:\n        "../../environment.yml"' in rule for rule in rules)


SHOWN = re.compile(r'shown\("(results/[^"]+)"\)')


def test_every_table_and_figure_is_in_snakemake_s_report_with_a_caption(root: Path) -> None:
    text = (root / "workflow/rules/report.smk").read_text(encoding="utf-8")
    shown = set(SHOWN.findall(text))
    readable = set(re.findall(r'"(results/[^"]+\.(?:csv|svg|webp))"', text.split("rule snapshot:")[0]))
    made = {path for block in text.split("\nrule ")[1:] for path in outputs(block) if not path.startswith("docs/")}
    assert shown == {path for path in readable & made if path.endswith((".csv", ".svg", ".webp"))}
    captions = {path.stem: path.read_text(encoding="utf-8") for path in (root / "workflow/report").glob("*.rst")}
    names = {"{figure}": "figure", "{method}": "examples"}
    needed = {names.get(Path(path).stem, Path(path).stem) for path in shown} | {"workflow", "channels"}
    assert needed == set(captions)
    assert all(len(caption) > 40 for caption in captions.values())


def outputs(block: str) -> list[str]:
    """The files that a rule makes."""
    section = re.search(r"    output:\n(.*?)\n    \w+:", block, re.DOTALL)
    assert section is not None
    return re.findall(r'"((?:results|docs)/[^"]+)"', section[1])


@pytest.mark.parametrize("name", ["config", "full", "quick", "imagenette", "voc", "coco"])
def test_the_caption_of_figures_knows_every_figure(root: Path, name: str) -> None:
    caption = (root / "workflow/report/figure.rst").read_text(encoding="utf-8")
    missing = [
        figure for figure in load_config(root / f"config/{name}.yaml").run.figures if f'"{figure}"' not in caption
    ]
    assert not missing
