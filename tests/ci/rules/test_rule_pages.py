"""Each rule's page has a bad and a good example; ``test_corpus.py`` runs both."""

from __future__ import annotations

import pytest
from rule_pages import FOLDER, pages

PAGES = pages()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_what_the_rule_says(name: str) -> None:
    file = FOLDER / name
    assert file.is_file(), "run `make docs`"
    assert file.read_text(encoding="utf-8") == PAGES[name], "run `make docs`"
    if name != "README.md":
        assert "## Bad" in PAGES[name]
        assert "## Good" in PAGES[name]


def test_there_are_no_pages_of_rules_that_are_no_more() -> None:
    assert {file.name for file in FOLDER.glob("*.md")} == set(PAGES)
