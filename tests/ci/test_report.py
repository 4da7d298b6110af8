import json
import re

from hypothesis import given
from hypothesis import strategies as st

from ci.findings import Finding, Report, Severity
from ci.report import (
    render_github,
    render_json,
    render_markdown,
    render_sarif,
    render_text,
    summary,
)

REPORT = Report.of(
    [
        Finding("a/b", Severity.ERROR, "w/t.yaml", 3, 7, "wrong", "do this"),
        Finding("a/c", Severity.WARNING, "w/t.yaml", 0, 0, "odd"),
    ]
)
HOSTILE = st.text(max_size=40) | st.sampled_from(
    ["\x1b[31m", "a\n::error::x", "<script>", "@somebody", "![x](http://x)", "`| x |`", "a%0Ab"]
)


def test_text_has_place_rule_message_and_hint() -> None:
    assert render_text(REPORT) == (
        "w/t.yaml: warning[a/c] odd\n"
        "w/t.yaml:3:7: error[a/b] wrong\n"
        "    do this\n"
        "1 error, 1 warning\n"
    )


def test_colour_is_only_there_when_asked_for() -> None:
    assert "\x1b" not in render_text(REPORT)
    assert "\x1b[31merror[a/b]\x1b[0m" in render_text(REPORT, colour=True)


def test_json_is_the_report() -> None:
    assert Report.from_dict(json.loads(render_json(REPORT))) == REPORT


def test_github_annotations() -> None:
    assert render_github(REPORT).splitlines() == [
        "::warning file=w/t.yaml,title=a/c::odd",
        "::error file=w/t.yaml,line=3,col=7,title=a/b::wrong (do this)",
    ]


def test_sarif_names_rules_and_places() -> None:
    run = json.loads(render_sarif(REPORT))["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["a/b", "a/c"]
    first, second = run["results"]
    assert "region" not in first["locations"][0]["physicalLocation"]
    assert second["locations"][0]["physicalLocation"]["region"] == {
        "startLine": 3,
        "startColumn": 7,
    }


def test_sarif_brings_the_documentation_of_rules_that_there_are() -> None:
    finding = Finding("topology/cycle", Severity.ERROR, "a.yaml", 1, 1, "x")
    run = json.loads(render_sarif(Report.of([finding])))["runs"][0]
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["shortDescription"]["text"].startswith("The steps of a workflow")
    assert rule["defaultConfiguration"] == {"level": "error"}


def test_affected_workflows_are_named_where_people_read() -> None:
    report = Report.of([], affected=["b", "a`|\x1b"])
    assert "affects workflows: a`|\\x1b, b\n" in render_text(report)
    assert "Affects workflows: `a'\\|\\x1b`, `b`\n" in render_markdown(report)


def test_the_summary_is_one_line() -> None:
    assert summary(REPORT) == "1 error, 1 warning"
    assert summary(Report.of([])) == "nothing to report"


@given(path=HOSTILE, message=HOSTILE, hint=HOSTILE)
def test_nothing_of_a_contributor_is_obeyed(path: str, message: str, hint: str) -> None:
    report = Report.of([Finding("a/b", Severity.ERROR, path, 1, 1, message, hint)])
    text = render_text(report)
    assert len(text.splitlines()) == 2 + bool(hint)
    assert "\x1b" not in text
    markdown = render_markdown(report)
    assert len(markdown.splitlines()) == 5
    outside_code = re.sub(r"`[^`]*`", "", markdown)
    assert not re.search(r"<script|@somebody|(?<!\\)\]\(|http://", outside_code)
    annotations = render_github(report).splitlines()
    assert len([line for line in annotations if line.startswith("::")]) == 1
    json.loads(render_json(report))
    json.loads(render_sarif(report))
