import json

from ci.errors import EntryError
from ci.findings import Finding, Report, Severity

ERROR = Finding("a/b", Severity.ERROR, "z.yaml", 3, 1, "wrong", "do this")
WARNING = Finding("a/c", Severity.WARNING, "a.yaml", 0, 0, "odd")


def test_a_report_sorts_counts_and_drops_what_is_repeated() -> None:
    report = Report.of([ERROR, WARNING, ERROR], workflows=2)
    assert report.findings == (WARNING, ERROR)
    assert report.summary == {"errors": 1, "warnings": 1, "workflows": 2}


def test_only_errors_fail() -> None:
    assert Report.of([WARNING]).passed
    assert not Report.of([ERROR]).passed


def test_a_report_survives_json() -> None:
    report = Report.of([ERROR, WARNING], files=1)
    assert Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_the_json_has_the_fields_that_programs_rely_on() -> None:
    assert Report.of([ERROR]).to_dict() == {
        "findings": [
            {
                "rule": "a/b",
                "severity": "error",
                "path": "z.yaml",
                "line": 3,
                "column": 1,
                "message": "wrong",
                "hint": "do this",
            }
        ],
        "summary": {"errors": 1, "warnings": 0},
        "affected": [],
    }


def test_a_finding_says_what_an_error_says() -> None:
    error = EntryError("wrong", path="z.yaml", line=3, column=1, hint="do this")
    assert Finding.of(error, "a/b") == ERROR
    assert (ERROR.place, WARNING.place) == ("z.yaml:3:1", "a.yaml")


def test_paths_begin_at_the_repository_where_that_is_wanted() -> None:
    report = Report.of([ERROR])
    assert report.below("") is report
    assert [finding.path for finding in report.below("a/b").findings] == ["a/b/z.yaml"]
