"""docs/paper-scale.md says what `sc2 plan` says now, and what it tells to type exists."""

import re
from pathlib import Path

import pytest
import yaml

from sc2.config.load import load_config
from tests.generated import marks
from tests.paper_scale import COMMAND, IMAGES, PAGE, lines

TEXT = PAGE.read_text(encoding="utf-8")


def test_the_plan_on_the_page_is_that_of_the_configuration(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    begin, end = marks(COMMAND)
    shown = TEXT.partition(begin)[2].partition(end)[0].strip().splitlines()
    assert shown == lines(), f"write it anew: {COMMAND}"


def test_the_page_leaves_nothing_open() -> None:
    """Neither sizes nor hours: what `sc2 plan --measure` could not build, no job can."""
    assert not [line for line in lines() if "?" in line or "problem" in line or "failed" in line]


def test_the_images_are_those_of_the_data_sets(root: Path) -> None:
    """Published counts, less what the configuration holds out."""
    config = load_config(root / "config/paper.yaml")
    assert set(IMAGES) == set(config.datasets)
    held_out = {}
    for name in IMAGES:
        file = yaml.safe_load((root / f"config/datasets/{name}.yaml").read_text(encoding="utf-8"))
        held_out[name] = file.get("val_images") or file["val_per_class"] * file["num_classes"]
    published = {name: count + held_out[name] for name, count in IMAGES.items()}
    assert published == {"ilsvrc2012": 1_281_167, "coco2017": 118_287, "voc2012": 1_464}


def test_profiles_run_files_and_groups_that_the_page_names_exist(root: Path) -> None:
    names = re.findall(r"\b(?:workflow/profiles|config)/[\w./-]*\w", TEXT)
    assert len(names) > 5
    assert not [name for name in names if not (root / name).exists()]
    profile = yaml.safe_load((root / "workflow/profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    groups = re.findall(r"\b(\w+)=50\b", TEXT)
    assert groups
    assert set(groups) <= set(profile["groups"].values())


def test_the_profile_names_rules_that_exist(root: Path) -> None:
    rules = "".join(path.read_text(encoding="utf-8") for path in (root / "workflow/rules").glob("*.smk"))
    there = set(re.findall(r"^rule (\w+):", rules, re.MULTILINE))
    for name in ("slurm", "kubernetes"):
        profile = yaml.safe_load((root / f"workflow/profiles/{name}/config.yaml").read_text(encoding="utf-8"))
        assert set(profile.get("groups", {})) | set(profile["set-resources"]) <= there, name
        assert set(profile.get("group-components", {})) <= set(profile.get("groups", {}).values()), name
