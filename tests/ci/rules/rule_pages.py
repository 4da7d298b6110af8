"""Writes ``docs/rules``: a page for each rule, of its docstring and the first case of the corpus.

``python tests/ci/rules/rule_pages.py`` (or ``make docs``); a test says when pages are out of date.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Any

from corpus_cases import Case, Files, cases, good_tree

from ci.findings import Report
from ci.report import render_text
from ci.rules import Rule, all_rules
from ci.validate import validate

FOLDER = Path(__file__).parents[3] / "docs" / "rules"
SITES = ("alpha", "beta")
_MODES = {0o120000: "a symbolic link", 0o160000: "a submodule"}
_LANGUAGES = {".py": "python", ".sh": "bash", ".json": "json", ".eb": "python"}
_MOST = 30  # lines of an example


def judged(case: Case, tree: Files) -> Any:
    """The report on a tree of a case, as everything around it is in order."""
    catalog, registry = Files(good_tree("catalog")), Files(good_tree("registry"))
    if case.in_catalog:
        return validate(tree, before=catalog, registry=registry)
    return validate(tree, catalog=catalog, sites=SITES)


def pages() -> dict[str, str]:
    """File name to text, of every page."""
    examples: dict[str, Case] = {}
    for case in cases():
        examples.setdefault(case.rule, case)
    rules = [rule for rule in all_rules() if rule.id in examples]  # a test finds the others
    made = {file_of(rule.id): _page(rule, examples[rule.id]) for rule in rules}
    return made | {"README.md": _index()}


def file_of(rule_id: str) -> str:
    """The name of a rule's page."""
    return f"{rule_id.replace('/', '-')}.md"


def _index() -> str:
    lines = [
        "# Rules",
        "",
        "What `waas validate` looks at. An error stops a merge, a warning does not.",
        "`waas validate --explain RULE` prints the same text.",
        "",
        "A registry switches a rule off in `validation.yaml` at its root, with a reason; the file",
        "on main counts. Rules marked with · keep the service safe and cannot be switched off.",
        "",
        "```yaml",
        "disabled:",
        "  workflow/no-maintainers: entries of courses have none",
        "```",
    ]
    for subject, group in groupby(all_rules(), lambda rule: rule.id.partition("/")[0]):
        lines += ["", f"## {subject}", "", "| rule | | demands |", "|---|---|---|"]
        for rule in group:
            demand = " ".join(rule.documentation().split("\n\n")[0].split())
            first = demand.split(". ")[0].rstrip(".").replace("|", "\\|")
            level = f"{rule.severity}{'' if rule.optional else ' ·'}"
            lines.append(f"| [{rule.id}]({file_of(rule.id)}) | {level} | {first} |")
    return "\n".join(lines) + "\n"


def _page(rule: type[Rule[Any]], case: Case) -> str:
    good, bad = case.trees()
    always = "" if rule.optional else ", cannot be switched off"
    findings = judged(case, bad).findings
    said = render_text(Report.of(findings)).rsplit("\n", 2)[0]  # without the summary
    return "\n".join(
        [
            f"# {rule.id}",
            "",
            f"{rule.severity}{always} · [all rules](README.md)",
            "",
            rule.documentation(),
            "",
            "## Bad",
            "",
            *_example(case, bad),
            "",
            "```",
            said,
            "```",
            "",
            "## Good",
            "",
            *_example(case, good),
            "",
        ]
    )


def _example(case: Case, tree: Files) -> list[str]:
    """What the file of a case is in a tree: the lines around the change, or all of it."""
    if case.file not in tree.files:
        return [f"There is no `{_shown(case.file)}`."]
    if (mode := tree.modes.get(case.file)) in _MODES:
        return [f"`{_shown(case.file)}` is {_MODES[mode]}."]
    if case.file in tree.sizes:
        return [f"`{_shown(case.file)}` has {tree.sizes[case.file] / 2**20:.0f} MiB."]
    data = tree.files[case.file]
    if b"\0" in data:
        return [f"`{_shown(case.file)}` holds the bytes `{data[:24].hex(' ')} …`."]
    lines = data.decode("utf-8", "backslashreplace").splitlines()
    language = _LANGUAGES.get(Path(case.file).suffix, "yaml")
    text = [_shown(line) for line in _around(case, tree, lines)[:_MOST]]
    return [f"`{_shown(case.file)}`:", "", f"```{language}", *text, "```"]


def _around(case: Case, tree: Files, lines: list[str]) -> list[str]:
    good, bad = case.trees()
    if not case.is_replacement or case.file not in good.files:
        return lines
    others = (bad if tree.files == good.files else good).files[case.file]
    other = others.decode("utf-8", "backslashreplace").splitlines()
    start, end = 0, 0
    while start < min(len(lines), len(other)) and lines[start] == other[start]:
        start += 1
    while end < min(len(lines), len(other)) - start and lines[-1 - end] == other[-1 - end]:
        end += 1
    return lines[max(0, start - 2) : max(len(lines) - end, start) + 1]


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def write() -> None:
    """Write all pages, and remove those of rules that are no more."""
    made = pages()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.md"):
        if old.name not in made:
            old.unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
