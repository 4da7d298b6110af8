"""What GitHub says of pull requests and comments, read strictly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hooks.forges.github.outbox import Attempt, newest_failed
from hooks.forges.github.reading import _remarks, git_url
from hooks.forges.github.remembered import Remembered

NEW_YEAR = "2026-01-01T00:00:00Z"


def test_where_git_finds_repositories() -> None:
    assert git_url("https://api.github.com") == "https://github.com"
    assert git_url("https://api.lab.ghe.com") == "https://lab.ghe.com"
    assert git_url("https://github.example.org/api/v3") == "https://github.example.org"
    assert git_url("http://127.0.0.1:8000/api/v3") == "http://127.0.0.1:8000"


def test_comments_on_issues_and_of_lost_accounts_are_told_apart() -> None:
    url = "https://github.com/o/r/{}/12#issuecomment-5"
    shape = {"id": 5, "body": "/build", "created_at": NEW_YEAR, "updated_at": NEW_YEAR}
    on_pull = shape | {"html_url": url.format("pull"), "user": {"login": "ada"}}
    on_issue = shape | {"html_url": url.format("issues"), "user": {"login": "ada"}}
    of_nobody = shape | {"html_url": url.format("pull"), "user": None}
    assert [r.pull for r, _ in _remarks([on_pull, on_issue, of_nobody])] == [12, 0, 12]
    assert [r.author for r, _ in _remarks([on_pull, of_nobody])] == ["ada", ""]


def test_what_others_may_have_put_into_a_comment_is_not_its_authors_word() -> None:
    comment = {
        "id": 5,
        "body": "/deploy alpha",
        "user": {"login": "ada"},
        "html_url": "https://github.com/o/r/pull/12#issuecomment-5",
        "created_at": NEW_YEAR,
    }
    edited = comment | {"updated_at": "2026-01-02T00:00:00Z"}
    [(whole, _)] = _remarks([comment | {"updated_at": NEW_YEAR}])
    [(empty, time)] = _remarks([edited])
    assert (whole.text, empty.text) == ("/deploy alpha", "")
    assert time == edited["updated_at"]  # the list is read on from there


_ATTEMPTS = st.lists(
    st.builds(
        Attempt,
        id=st.integers(1, 50),
        guid=st.sampled_from(["a", "b", "c"]),
        kind=st.just("push"),
        delivered=st.booleans(),
        repository=st.just(1),
    ),
    unique_by=lambda attempt: attempt.id,
)


@given(_ATTEMPTS)
def test_an_event_is_missed_when_its_newest_attempt_failed(attempts) -> None:
    failed = newest_failed(attempts)
    assert [a.id for a in failed] == sorted(a.id for a in failed)
    for guid in "abc":
        mine = [a for a in attempts if a.guid == guid]
        expected = bool(mine) and not max(mine).delivered
        assert (guid in {a.guid for a in failed}) == expected


def test_the_memory_is_bounded_and_keeps_what_is_asked_for() -> None:
    memory = Remembered(most=3)
    for key in "abc":
        memory.put(key, f'"{key}"', key)
    assert memory.get("a") == ('"a"', "a")
    memory.put("d", '"d"', "d")
    assert memory.get("b") == ("", None)
    assert memory.get("a")[1] == "a"
    memory.put("a", "", "new")
    assert memory.get("a") == ("", None)
