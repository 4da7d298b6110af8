"""Broken entries, each with the one finding that it must give, and nothing else."""

from __future__ import annotations

import pytest
from corpus_cases import Case, Files, cases, good_tree
from rule_pages import SITES, judged

from ci.report import render_text
from ci.rules import all_rules
from ci.validate import validate

CASES = cases()


def found(report) -> list[tuple[str, str, int]]:
    print(render_text(report))
    return [(finding.rule, finding.path, finding.line) for finding in report.findings]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_one_finding(case: Case) -> None:
    good, bad = case.trees()
    assert found(judged(case, bad)) == [case.expected(bad)]
    assert found(judged(case, good)) == []


@pytest.mark.parametrize("name", ["registry", "catalog"])
def test_nothing_is_wrong_with_the_good_trees(name: str) -> None:
    report = validate(Files(good_tree(name)), catalog=Files(good_tree("catalog")), sites=SITES)
    assert not report.findings, render_text(report)


def test_every_rule_has_an_id_documentation_and_a_case() -> None:
    ids = [rule.id for rule in all_rules()]
    assert len(set(ids)) == len(ids)
    assert {case.rule for case in CASES} == set(ids)
    for rule in all_rules():
        assert rule.documentation()
        subject, _, what = rule.id.partition("/")
        assert subject
        assert what
