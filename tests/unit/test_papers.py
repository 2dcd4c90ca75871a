"""docs/papers.md holds what the code cites: every citation leads to a section, every method has one with its source."""

import re
from collections import Counter
from pathlib import Path

import pytest

from sc2.methods import method_names

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/papers.md"
FOLDERS = ("sc2", "config", "docs", "tests", "workflow")
SUFFIXES = {".py", ".yaml", ".yml", ".json", ".md", ".smk", ".toml", ".cff", ""}
SECTION = re.compile(r'^#{2,3} <a id="([a-z0-9-]+)"></a>.+$', re.MULTILINE)
CITATION = re.compile(r"papers\.md#([^\s)\]`\"',;.…]+)")
ABSENT_DOCUMENT = re.compile(r"\b[Ss]pec (?:\d|section)|specification[,( ]+section")


def text_files() -> list[Path]:
    """Return sources, configuration and pages: those in the folders above and those at the top."""
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")] + list(ROOT.iterdir())
    return sorted(path for path in found if path.is_file() and path.suffix in SUFFIXES and path.name[0] != ".")


def texts() -> dict[str, str]:
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in text_files()}


def sections() -> dict[str, str]:
    """Return the text below each heading with an anchor, up to the next such heading."""
    anchor_and_text = SECTION.split(PAGE.read_text(encoding="utf-8"))[1:]
    return dict(zip(anchor_and_text[::2], anchor_and_text[1::2], strict=True))


def test_every_citation_leads_to_a_section() -> None:
    citations = [(name, anchor) for name, text in texts().items() for anchor in CITATION.findall(text)]
    dead = sorted({f"{name}: {anchor}" for name, anchor in citations if anchor not in sections()})
    assert not dead, f"no such anchor in docs/papers.md: {dead}"
    assert len(citations) > 80


def test_the_page_links_to_its_own_sections_and_has_each_once() -> None:
    page = PAGE.read_text(encoding="utf-8")
    anchors = Counter(SECTION.findall(page))
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= set(anchors)
    assert set(anchors.values()) == {1}
    assert page.count('<a id="') == len(anchors)


def test_nothing_cites_a_document_that_is_not_here() -> None:
    citing = {name: ABSENT_DOCUMENT.findall(text) for name, text in texts().items()}
    assert not {name: found for name, found in citing.items() if found}


@pytest.mark.parametrize(
    ("document", "place"), [("(spec", "1.6, 1.10)"), ("Spec", "2.4,"), ("spec", "1)"), ("specification,", "section 8")]
)
def test_such_a_citation_would_be_found(document: str, place: str) -> None:
    assert ABSENT_DOCUMENT.search(f"{document} {place}")


@pytest.mark.parametrize("name", method_names())
def test_every_method_has_a_section_with_its_source(name: str) -> None:
    text = sections()[name.replace("_", "-")]
    assert text.lstrip().startswith("Source: ")
