"""Payloads become small events, and odd ones sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from hooks.forges.github.events import event_of

PAYLOADS = Path(__file__).parents[2] / "web" / "payloads"
COMMIT = "a" * 40
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
_NAMES = st.sampled_from(
    [
        "action",
        "sender",
        "login",
        "repository",
        "full_name",
        "pull_request",
        "number",
        "head",
        "issue",
        "comment",
        "id",
        "check_run",
        "check_suite",
        "head_sha",
        "pull_requests",
        "ref",
        "ref_type",
        "after",
        "sha",
        "review",
    ]
)
_LIKE_PAYLOADS = st.recursive(
    _JSON | st.just(COMMIT) | st.just("refs/heads/x") | st.just("branch"),
    lambda inner: st.dictionaries(_NAMES, inner, max_size=6) | st.lists(inner, max_size=2),
    max_leaves=30,
)
KINDS = ["push", "pull_request", "pull_request_review", "issue_comment", "check_run"]
KINDS += ["check_suite", "create", "delete", "installation", "ping", "star"]
ALLOWED = {"event", "ref", "number", "remark", "action", "head", "pusher"}


@pytest.mark.parametrize("file", sorted(PAYLOADS.glob("*.json")), ids=lambda file: file.stem)
def test_github_s_own_payloads_are_read(file: Path) -> None:
    slug, event = event_of(file.stem, json.loads(file.read_text()))
    assert event["event"] == file.stem
    assert set(event) <= ALLOWED
    assert slug == "" or slug.count("/") == 1


@given(kind=st.sampled_from(KINDS), payload=st.dictionaries(_NAMES, _LIKE_PAYLOADS))
def test_odd_payloads_are_sentences_and_what_is_kept_is_small(
    kind: str, payload: dict[str, Any]
) -> None:
    try:
        slug, event = event_of(kind, payload)
    except EntryError:
        return
    assert set(event) <= ALLOWED
    assert len(json.dumps([slug, event])) < 4000


def test_a_comment_on_an_issue_has_no_number() -> None:
    payload = {"issue": {"number": 3}, "comment": {"id": 9}, "sender": {"login": "ada"}}
    assert event_of("issue_comment", payload)[1] == {
        "event": "issue_comment",
        "remark": "9",
        "pusher": "ada",
    }
    payload["issue"]["pull_request"] = {"url": "x"}
    assert event_of("issue_comment", payload)[1]["number"] == 3


@pytest.mark.parametrize("number", [True, 0, -1, 2**31, "3", 3.0])
def test_a_number_that_is_none_is_refused(number: Any) -> None:
    payload = {"pull_request": {"number": number, "head": {"sha": COMMIT}}}
    with pytest.raises(EntryError):
        event_of("pull_request", payload)


@pytest.mark.parametrize("ref", ["refs/heads/../x", "refs/heads/a b", "main", "refs/heads/", 7])
def test_a_reference_that_is_none_is_refused(ref: Any) -> None:
    with pytest.raises(EntryError):
        event_of("push", {"ref": ref, "after": COMMIT})
