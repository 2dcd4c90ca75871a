"""The code fingerprint changes with what can change a result, and with nothing else."""

import os
import time
from pathlib import Path
from unittest.mock import Mock

import pytest

from sc2.errors import ProvenanceError
from sc2.provenance import fingerprint as module
from sc2.provenance.fingerprint import combine, fingerprint
from sc2.provenance.parsed import kept

JOB = '''"""A job."""

from typing import TYPE_CHECKING

import os
import sc2.shared
from sc2.pkg import sub, value

if TYPE_CHECKING:
    from sc2.types_only import Thing


def run(x):
    """Run it."""
    from sc2.lazy import late
    return late(x) + 1  # a comment
'''


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(
        tmp_path,
        {
            "sc2/__init__.py": "",
            "sc2/job.py": JOB,
            "sc2/shared.py": "A = 1\n",
            "sc2/lazy.py": "def late(x):\n    return x\n",
            "sc2/types_only.py": "class Thing:\n    pass\n",
            "sc2/unrelated.py": "B = 1\n",
            "sc2/pkg/__init__.py": "value = 3\n",
            "sc2/pkg/sub.py": "import sc2.shared as s\n",
            "sc2/pkg/other.py": "C = 1\n",
            "sc2/bare/leaf.py": "D = 1\n",
        },
    )
    return tmp_path


def edit(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    # A file system's clock may stand still for milliseconds; no person edits that fast, but a test does.
    later = time.time_ns() + 10**9
    os.utime(path, ns=(later, later))


def test_closure_is_what_the_job_imports(root: Path) -> None:
    files = fingerprint(["sc2.job"], root).files
    assert list(files) == [
        "sc2/__init__.py",
        "sc2/job.py",
        "sc2/lazy.py",
        "sc2/pkg/__init__.py",
        "sc2/pkg/sub.py",
        "sc2/shared.py",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another, longer comment"),
        ('"""Run it."""', '"""Run it in another way."""'),
        ('    """Run it."""\n', ""),
        ('"""A job."""\n', ""),
        ("late(x) + 1", "(late( x )\n        + 1)"),
        ("import os\n", "\n\n\nimport os\n"),
        ("import Thing", "import Thing, Thing as Other"),
    ],
)
def test_edit_that_cannot_matter_keeps_the_digest(root: Path, old: str, new: str) -> None:
    before = fingerprint(["sc2.job"], root)
    edit(root, "sc2/job.py", old, new)
    assert fingerprint(["sc2.job"], root) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("sc2/job.py", "+ 1", "+ 2"),
        ("sc2/job.py", "import os", "import sys"),
        ("sc2/shared.py", "A = 1", "A = 'one'"),
        ("sc2/lazy.py", "return x", "return -x"),
        ("sc2/pkg/__init__.py", "value = 3", "value = 4"),
        ("sc2/pkg/sub.py", "as s", "as t"),
    ],
)
def test_real_edit_changes_the_digest_of_that_file(root: Path, name: str, old: str, new: str) -> None:
    before = fingerprint(["sc2.job"], root)
    edit(root, name, old, new)
    after = fingerprint(["sc2.job"], root)
    assert after.digest != before.digest
    assert {path for path in after.files if after.files[path] != before.files.get(path)} == {name}


def test_same_size_edit_is_seen_in_spite_of_the_cache(root: Path) -> None:
    before = fingerprint(["sc2.job"], root)
    edit(root, "sc2/shared.py", "A = 1", "A = 2")
    assert fingerprint(["sc2.job"], root).digest != before.digest


@pytest.mark.parametrize("name", ["sc2/unrelated.py", "sc2/types_only.py", "sc2/pkg/other.py"])
def test_module_that_is_not_imported_does_not_count(root: Path, name: str) -> None:
    before = fingerprint(["sc2.job"], root)
    (root / name).write_text("import sc2.nowhere\n")
    assert fingerprint(["sc2.job"], root) == before


def test_new_import_and_new_submodule_are_followed(root: Path) -> None:
    edit(root, "sc2/lazy.py", "return x", "from sc2 import unrelated\n    return x")
    assert "sc2/unrelated.py" in fingerprint(["sc2.job"], root).files
    write(root, {"sc2/pkg/value.py": "E = 1\n"})
    assert "sc2/pkg/value.py" in fingerprint(["sc2.job"], root).files


def test_else_of_type_checking_counts(root: Path) -> None:
    edit(root, "sc2/job.py", "import Thing\n", "import Thing\nelse:\n    import sc2.unrelated\n")
    assert "sc2/unrelated.py" in fingerprint(["sc2.job"], root).files


def test_qualified_type_checking_is_skipped(root: Path) -> None:
    edit(root, "sc2/job.py", "if TYPE_CHECKING", "import typing\nif typing.TYPE_CHECKING")
    assert "sc2/types_only.py" not in fingerprint(["sc2.job"], root).files


def digest_of(root: Path, name: str) -> str:
    return fingerprint([f"sc2.{name}"], root).files[f"sc2/{name}.py"]


def test_description_of_a_field_is_no_code(root: Path) -> None:
    write(root, {"sc2/a.py": 'x = Field(1, description="one")\n', "sc2/b.py": 'x = Field(1, description="two")\n'})
    assert digest_of(root, "a") == digest_of(root, "b")
    write(root, {"sc2/b.py": 'x = Field(2, description="two")\n'})
    assert digest_of(root, "a") != digest_of(root, "b")


def test_functions_that_a_job_never_calls_are_left_out_with_their_imports(root: Path) -> None:
    functions = (
        "    def training(self):\n        import sc2.shared\n    def export(self):\n        import sc2.unrelated\n"
    )
    method = f"class M:\n{functions}"
    write(root, {"sc2/methods/family/m.py": method, "sc2/plain.py": method})
    module = ["sc2.methods.family.m"]
    without = fingerprint(module, root, without=frozenset({"training"}))
    assert "sc2/unrelated.py" in without.files
    assert "sc2/shared.py" not in without.files
    assert without.digest != fingerprint(module, root).digest
    # Only the classes of methods have such functions.
    assert "sc2/shared.py" in fingerprint(["sc2.plain"], root, without=frozenset({"training"})).files


def test_docstring_alone_equals_pass(root: Path) -> None:
    write(root, {"sc2/a.py": 'class E(Exception):\n    """Doc."""\n', "sc2/b.py": "class E(Exception):\n    pass\n"})
    assert digest_of(root, "a") == digest_of(root, "b")


def test_assigned_string_is_code(root: Path) -> None:
    write(root, {"sc2/a.py": 'x = "a"\n', "sc2/b.py": 'x = "b"\n'})
    assert digest_of(root, "a") != digest_of(root, "b")


def test_order_and_repetition_do_not_matter(root: Path) -> None:
    one = fingerprint(["sc2.job", "sc2.unrelated"], root)
    assert fingerprint(iter(["sc2.unrelated", "sc2.job", "sc2.job"]), root) == one
    assert combine(one.files) == one.digest


def test_package_without_init(root: Path) -> None:
    assert set(fingerprint(["sc2.bare.leaf"], root).files) == {"sc2/__init__.py", "sc2/bare/leaf.py"}


def test_place_of_the_root_does_not_matter(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("elsewhere")
    write(other, {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*.py")})
    assert fingerprint(["sc2.job"], other) == fingerprint(["sc2.job"], root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("from .shared import A", r"sc2/shared\.py:2: relative import `from \.shared import …`; use an absolute"),
        ("from . import lazy", r"sc2/shared\.py:2: relative import"),
        ("import sc2.nowhere", r"sc2/shared\.py:2: module sc2\.nowhere does not exist"),
        ("from sc2.nowhere import x", r"sc2/shared\.py:2: module sc2\.nowhere does not exist"),
        ("from sc2.pkg import *", r"sc2/shared\.py:2: star import"),
        ("x = = 1", r"sc2/shared\.py:2: cannot be parsed"),
    ],
)
def test_error_names_file_and_line(root: Path, line: str, message: str) -> None:
    (root / "sc2/shared.py").write_text(f"\n{line}\n")
    with pytest.raises(ProvenanceError, match=message):
        fingerprint(["sc2.job"], root)


def test_unknown_or_foreign_module_asked_for(root: Path) -> None:
    with pytest.raises(ProvenanceError, match=r"sc2\.typo does not exist"):
        fingerprint(["sc2.typo"], root)
    with pytest.raises(ProvenanceError, match="numpy is not inside the package"):
        fingerprint(["numpy"], root)


def test_running_package_is_the_default_root() -> None:
    own = fingerprint(["sc2.provenance.fingerprint"])
    assert own.files["sc2/errors.py"] == fingerprint(["sc2.errors"], Path(__file__).parents[2]).files["sc2/errors.py"]


def test_warm_closure_is_fast(root: Path) -> None:
    write(root, {f"sc2/many/m{i}.py": f"import sc2.many.m{(i + 1) % 60}\nfrom sc2.pkg import sub\n" for i in range(60)})
    fingerprint(["sc2.many.m0"], root)
    best = min(_seconds(root) for _ in range(10))
    assert best < 0.05  # measured 2 ms; the room is for a busy machine


def _seconds(root: Path) -> float:
    start = time.perf_counter()
    fingerprint(["sc2.many.m0"], root)
    return time.perf_counter() - start


def test_what_a_workflow_has_parsed_serves_its_jobs_and_nothing_else(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kept" / "parsed.json"
    planned = fingerprint(["sc2.job"], root), fingerprint(["sc2.job"], root, without=frozenset({"run"}))
    module.keep_parsed(path)
    _forget(monkeypatch)
    parsed = Mock(side_effect=module._parsed)
    monkeypatch.setattr(module, "_parsed", parsed)
    module.take_parsed(path)
    assert (fingerprint(["sc2.job"], root), fingerprint(["sc2.job"], root, without=frozenset({"run"}))) == planned
    parsed.assert_not_called()
    edit(root, "sc2/shared.py", "A = 1", "A = 20261126")
    assert fingerprint(["sc2.job"], root) != planned[0]
    parsed.assert_called_once_with(b"A = 20261126\n", "sc2/shared.py", frozenset())


def test_what_is_no_longer_needed_is_not_kept(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "parsed.json"
    _forget(monkeypatch)
    fingerprint(["sc2.job"], root)
    module.keep_parsed(path)
    before = kept(path)
    edit(root, "sc2/shared.py", "A = 1", "A = 20261126")
    _forget(monkeypatch)
    module.take_parsed(path)
    fingerprint(["sc2.job"], root)
    module.keep_parsed(path)
    after = kept(path)
    assert len(after) == len(before)
    assert len(after.keys() - before.keys()) == 1


@pytest.mark.parametrize("content", [None, b"", b"[1]", b"{}", b"\xff", b"0\n{}"])
def test_a_file_of_something_else_is_parsed_as_if_it_were_not_there(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    expected = fingerprint(["sc2.job"], root)
    path = tmp_path / "parsed.json"
    if content is not None:
        path.write_bytes(content)
    _forget(monkeypatch)
    module.take_parsed(path)
    assert fingerprint(["sc2.job"], root) == expected


def test_a_digest_that_was_changed_is_not_taken(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "parsed.json"
    expected = fingerprint(["sc2.job"], root)
    module.keep_parsed(path)
    digest = expected.files["sc2/shared.py"]
    path.write_text(path.read_text(encoding="utf-8").replace(digest, "0" * 64), encoding="utf-8")
    _forget(monkeypatch)
    module.take_parsed(path)
    assert fingerprint(["sc2.job"], root) == expected


def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has not looked at the code yet."""
    for name in ("_CACHE", "_PARSED", "_LEFT"):
        monkeypatch.setattr(module, name, {})
