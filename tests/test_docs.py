"""What the documents refer to exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("workflow-registry/**/*.md"),
    *ROOT.glob("software-catalog/**/*.md"),
]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
        inside = page.relative_to(ROOT).parts[0]
        if inside in {"workflow-registry", "software-catalog"}:  # repositories of their own
            assert (page.parent / target).resolve().is_relative_to(ROOT / inside)


def test_commands_that_the_documents_name_exist() -> None:
    from hooks.cli.main import _COMMANDS

    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|[\s`$/])waas (?:--config \S+ )?([a-z_]+)", text))
    known = set(_COMMANDS)
    prose = {"is", "needs"}
    assert named - known <= prose, f"unknown: {named - known - prose}"
