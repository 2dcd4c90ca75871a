"""Values that YAML reads as something else than is written, and files that are no configuration."""

from pathlib import Path

import pytest

from sc2.config.load import load_config
from sc2.config.yaml_files import DEEPEST, read_yaml
from sc2.errors import ConfigError
from tests.bounded import run_bounded
from tests.configuration import DEFAULT, Project, put

SURPRISES = {
    "yes": "title YAML reads this as true: put it in quotes, or write true (it says yes)",
    "off": "title YAML reads this as false",
    "017": "title YAML may read another number: write it in decimal digits, or in quotes (it says 017)",
    "0x10": "title YAML may read another number",
    "1_000": "title YAML may read another number",
    "1:30": "title YAML may read another number",
    "9" * 30: "title YAML may read another number",
    ".inf": "title must be a finite number in decimal digits, or text in quotes (it says .inf)",
    "-.INF": "title must be a finite number",
    ".nan": "title must be a finite number",
    "1:30.5": "title must be a finite number",
    "2020-01-01": "title YAML reads this as a date: put it in quotes",
    "2020-13-99": "title YAML reads this as a date",
    "!!binary aGk=": "title must be a number or text in quotes",
    "=": "title must be a number or text in quotes",
    '"a\\0b"': "title the text 'a\\x00b' contains the control character",
    "[1, {a: [yes]}]": "title[1].a[0] YAML reads this as true",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def said(project: Project) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(project.folder / "config.yaml")
    return " ".join(str(caught.value).split())


@pytest.mark.parametrize("written", SURPRISES)
def test_a_value_that_yaml_reads_otherwise_is_named_with_file_key_and_fix(project: Project, written: str) -> None:
    path = project.folder / DEFAULT
    lines = [line for line in path.read_text().splitlines() if not line.startswith("title:")]
    path.write_text("\n".join([f"title: {written}", *lines]))
    assert f"{path}: {' '.join(SURPRISES[written].split())}" in said(project)


@pytest.mark.parametrize(
    "written", ["true", "True", "FALSE", "null", "~", "0", "-17", "1.5", "-0.5e-3", '"017"', "abc"]
)
def test_values_that_say_what_they_are_are_read(tmp_path: Path, written: str) -> None:
    (tmp_path / "a.yaml").write_text(f"a: {written}")
    content, problems = read_yaml(tmp_path / "a.yaml")
    assert problems == []
    assert list(content) == ["a"]


NO_NUMBERS = {
    "text for a whole number": (("input", "resize"), "64", "is text, must be a number: remove the quotes"),
    "text for a number": (("teacher", "training", "lr"), "1e-3", "write 1e-3 as 1.0e-3"),
    "text for a truth value": (("augment", "flip"), "true", "is text, must be true or false: remove the quotes"),
    "a number for a truth value": (("augment", "flip"), 1, "must be a valid boolean"),
    "a truth value for a number": (("input", "resize"), True, "must be a valid integer"),
    "text in a list": (("input", "mean"), ["0", 0.5, 0.5], "is text, must be a number"),
    "text in a phase": (("methods", "entropic_student", "params", "phases", "distill", "epochs"), "3", "is text"),
}


@pytest.mark.parametrize("fault", NO_NUMBERS)
def test_numbers_and_truth_values_are_not_made_of_text(project: Project, fault: str) -> None:
    keys, value, message = NO_NUMBERS[fault]
    project.edit(DEFAULT, put(*keys, value))
    found = said(project)
    assert f"{project.folder / DEFAULT}: {'.'.join(keys)}" in found
    assert message in found


SHAPES = {
    "braces": ("{{figures}}: [exrd]", "line 1, column 1: a key is a list or a mapping here; put text with braces"),
    "holds itself": ("benchmarks: &a [*a]", "or one that contains itself"),
    "holds itself by name": ("benchmarks: &a {b: *a}", "or one that contains itself"),
    "deep": ("a: " + "[" * 400_000, f"line 1, column {3 + DEEPEST}: more than {DEEPEST} nested lists and"),
    "deep blocks": ("- " * 400_000, f"more than {DEEPEST} nested lists and mappings"),
    "billions": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "more than 100000 keys and values",
    ),
    "large": ("a: " + "x" * 2**20, "but at most 1048576 are read"),
    "two documents": ("a: 1\n---\nb: 2\n", "not valid YAML"),
    "python": ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_of_another_shape_is_refused_at_once(project: Project, shape: str) -> None:
    content, message = SHAPES[shape]
    path = project.folder / "config.yaml"
    path.write_text(content)
    code = "try:\n    load_config(sys.argv[1])\nexcept ConfigError as error:\n    print(error)\n"
    imports = "from sc2.config.load import load_config\nfrom sc2.errors import ConfigError"
    found = run_bounded(imports, code, str(path), mib=256, seconds=15)
    assert str(path) in found
    assert message in found


def test_a_batch_of_one_image_is_refused_where_the_head_normalises_over_the_batch(project: Project) -> None:
    file = "benchmarks/photodigits_segmentation.yaml"
    project.edit(file, put("teacher", "training", "batch_size", 1))
    name = "photodigits_segmentation"
    project.edit(
        "config.yaml", put("benchmarks", {"photodigits_small_resnet": ["jpeg"], name: ["jpeg"]}), put("groups", {})
    )
    message = "teacher.training.batch_size must be at least 2 in segmentation: its head normalises over the batch"
    assert f"{project.folder / file}: {message}" in said(project)
    project.edit(file, put("teacher", "training", "batch_size", 2))
    assert load_config(project.folder / "config.yaml").benchmarks[name]


@pytest.mark.parametrize("parent", ["../benchmarks/photodigits_small_resnet", "a" * 5000, "a\0b", ".", ""])
def test_a_parent_that_is_no_name_is_not_looked_up(project: Project, parent: str) -> None:
    project.edit("benchmarks/photodigits_quick_small_resnet.yaml", put("extends", parent))
    with pytest.raises(ConfigError, match=r"photodigits_quick_small_resnet\.yaml: extends"):
        load_config(project.folder / "quick.yaml")
