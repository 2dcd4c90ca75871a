"""The documentation names what there is: every column, no dead link."""

import re
from pathlib import Path

import pytest

from sc2.report.columns import all_columns

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data/*.md")])


def test_every_column_of_every_table_is_described() -> None:
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    missing = sorted({column.name for column in all_columns() if f"`{column.name}`" not in text})
    assert not missing, f"docs/metrics.md does not describe {missing}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    files = [link for link in links if "://" not in link]
    # Snapshots are written by a rule once results are there; everything else is in the checkout.
    dead = [link for link in files if "reference/" not in link and not (page.parent / link).exists()]
    assert not dead, f"{page.name} links to {dead}"
    assert len(PAGES) > 5
