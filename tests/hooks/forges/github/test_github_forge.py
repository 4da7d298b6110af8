"""A repository on GitHub is read as it is now: pull requests, ends, rights, remarks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from app_credentials import TOKEN
from scripted_http import Answer, Scripted, serving

from ci.errors import EntryError, SiteError
from ci.git import remote
from hooks.forge_choice import GitHubConnection
from hooks.forges.github import reading, rights
from hooks.forges.github.connection import Connection
from hooks.forges.github.markdown import MARKER
from hooks.forges.github.reading import GitHubForge
from hooks.forges.seams import Ending

SLUG = "lab/registry"
AT = f"/repos/{SLUG}"
MAIN = "b" * 40
OURS, THEIRS = {"id": 1, "full_name": SLUG}, {"id": 2, "full_name": "ada/registry"}


@pytest.fixture
def github() -> Iterator[Scripted]:
    with serving() as scripted:
        scripted.on(f"GET {AT}/git/ref/heads/main", Answer(body={"object": {"sha": MAIN}}))
        scripted.on(f"GET {AT}/pulls", Answer(body=[]))
        scripted.on("GET /user", Answer(body={"login": "waas"}))
        yield scripted


@pytest.fixture
def forge(github: Scripted, tmp_path: Path) -> GitHubForge:
    connection = Connection(GitHubConnection("public", github.url), lambda _: TOKEN)
    return GitHubForge(connection, SLUG, tmp_path / "mirror.git")


def pull(number: int, *, source=OURS, association="MEMBER", base="main", **given):
    head = {"ref": f"topic-{number}", "sha": f"{number:040x}", "repo": source}
    head["user"] = {"login": "ada"}
    return {
        "number": number,
        "title": f"Title {number}",
        "head": head,
        "base": {"ref": base, "repo": OURS},
        "user": {"login": "ada"},
        "author_association": association,
        "draft": False,
    } | given


def test_pull_requests_are_looked_at(github, forge):
    github.on(f"GET {AT}/pulls", Answer(body=[pull(7, draft=True), pull(8, base="other")]))
    seen = forge.look()
    assert seen.main == MAIN
    [one] = seen.proposals
    assert (one.number, one.branch, one.head) == (7, "topic-7", f"{7:040x}")
    assert (one.author, one.pusher, one.title) == ("ada", "ada", "Title 7")
    assert one.draft
    assert one.trusted


def test_forks_and_newcomers_are_not_trusted(github, forge):
    listed = [
        pull(1, source=THEIRS),
        pull(2, source=None),  # the fork was deleted
        pull(3, association="FIRST_TIME_CONTRIBUTOR"),
        pull(4, association="CONTRIBUTOR"),
        pull(5, user=None),
    ]
    listed[1]["head"]["user"] = None
    github.on(f"GET {AT}/pulls", Answer(body=listed))
    seen = forge.look().proposals
    assert [p.trusted for p in seen] == [False, False, False, True, True]
    assert [p.branch for p in seen[:3]] == ["ada:topic-1", ":topic-2", "topic-3"]
    assert seen[4].author == ""


def test_hundreds_of_pull_requests_are_seen_and_asked_for_by_their_marks(github, forge):
    numbers = range(1, 251)
    for page, first in enumerate((0, 100, 200), 1):
        link = {"Link": f'<{github.url}{AT}/pulls-{page + 1}>; rel="next"'} if first < 200 else {}
        body = [pull(n) for n in numbers[first : first + 100]]
        where = f"GET {AT}/pulls" if page == 1 else f"GET {AT}/pulls-{page}"
        github.on(where, Answer(body=body, headers=link | {"ETag": f'"{page}"'}), Answer(304))
    for _ in range(2):
        assert [p.number for p in forge.look().proposals] == list(numbers)
    marks = [a.headers.get("if-none-match") for a in github.asked if "/pulls" in a.path]
    assert marks == [None, None, None, '"1"', '"2"', '"3"']


def test_a_repository_without_a_commit_has_no_main(github, forge):
    github.on(f"GET {AT}/git/ref/heads/main", Answer(409, {"message": "Git Repository is empty."}))
    github.on(f"GET {AT}", Answer(body={"default_branch": "main"}))
    assert forge.look().main == ""


def test_another_default_branch_is_said(github, forge):
    github.on(f"GET {AT}/git/ref/heads/main", Answer(404, {"message": "Not Found"}))
    github.on(f"GET {AT}", Answer(body={"default_branch": "master"}))
    with pytest.raises(SiteError, match="no branch main") as told:
        forge.look()
    assert "master" in told.value.hint
    assert not told.value.transient


def test_a_repository_that_we_may_not_see_is_said(github, forge):
    github.on(f"GET {AT}/git/ref/heads/main", Answer(404, {"message": "Not Found"}))
    with pytest.raises(SiteError, match="Not Found") as told:
        forge.look()
    assert "waas github check" in told.value.hint


@pytest.mark.parametrize("damage", [{"head": None}, {"number": "x"}, {"base": {}}])
def test_a_pull_request_that_is_none_is_a_sentence(github, forge, damage):
    github.on(f"GET {AT}/pulls", Answer(body=[pull(1) | damage]))
    with pytest.raises(SiteError, match="cannot be read"):
        forge.look()


@pytest.mark.parametrize(
    ("shown", "ending"),
    [
        ({"state": "open", "merged": False}, None),
        ({"state": "closed", "merged": False}, Ending(merged=False)),
        (
            {"state": "closed", "merged": True, "merge_commit_sha": "c" * 40},
            Ending(True, "c" * 40),
        ),
        (  # it goes to another branch now
            {"state": "open", "merged": False, "base": {"ref": "next"}},
            Ending(merged=False),
        ),
    ],
)
def test_how_a_pull_request_ended(github, forge, shown, ending):
    github.on(f"GET {AT}/pulls/7", Answer(body=pull(7) | shown))
    assert forge.ending(7, "a" * 40) == ending


def role(permission: str, name: str = "", **permissions) -> Answer:
    user = {"login": "ada", "permissions": permissions}
    return Answer(body={"permission": permission, "role_name": name or permission, "user": user})


@pytest.mark.parametrize(
    ("answer", "may"),
    [
        (role("admin"), [True, True, True]),
        (role("write", "maintain"), [True, True, True]),
        (role("write"), [True, True, False]),
        (role("write", "our-release-people", maintain=True), [True, True, True]),
        (role("write", "our-writers", maintain=False), [True, True, False]),
        (role("read", "triage"), [False, False, False]),
        (role("read", "maintainers"), [False, False, False]),
        (role("none"), [False, False, False]),
        (Answer(404, {"message": "Not Found"}), [False, False, False]),
        (Answer(403, {"message": "Must have push access"}), [False, False, False]),
    ],
)
def test_rights_follow_the_role(github, forge, answer, may):
    github.on(f"GET {AT}/collaborators/ada/permission", answer)
    assert [forge.may("Ada", right) for right in ("build", "merge", "deploy")] == may
    assert github.count(f"GET {AT}/collaborators/ada/permission") == 1


@pytest.mark.parametrize("user", ["", "../../x", "ada/y", "a b", "ada[bot]", "ä"])
def test_names_that_are_none_have_no_right_and_are_not_asked_for(github, forge, user):
    assert not forge.may(user, "build")
    assert not github.asked


def test_a_right_that_nobody_can_tell_now_is_no_answer(github, forge):
    github.on(f"GET {AT}/collaborators/ada/permission", Answer(500), Answer(500), Answer(500),
              role("admin"))  # fmt: skip
    with pytest.raises(SiteError) as told:
        forge.may("ada", "build")
    assert told.value.transient
    assert forge.may("ada", "build")


def test_a_right_that_was_taken_away_is_soon_gone(github):
    now = [0.0]
    connection = Connection(GitHubConnection("public", github.url), lambda _: TOKEN)
    known = rights.Rights(connection, SLUG, clock=lambda: now[0])
    github.on(f"GET {AT}/collaborators/ada/permission", role("admin"), role("read"))
    assert known.has("ada", "deploy")
    now[0] = rights.HOLDS
    assert not known.has("ada", "deploy")


def remark(number: int, text: str = "/build", *, by="ada", second=0, kind="pull"):
    written = f"2026-05-01T10:{second // 60:02}:{second % 60:02}Z"
    return {
        "id": number,
        "body": text,
        "user": {"login": by} if by else None,
        "created_at": written,
        "updated_at": written,
        "html_url": f"https://github.com/{SLUG}/{kind}/12#issuecomment-{number}",
    }


def test_remarks_are_read_from_now_on_and_none_is_missed(github, forge):
    github.on(f"GET {AT}", Answer(body={}, headers={"Date": "Fri, 01 May 2026 10:00:00 GMT"}))
    assert forge.remarks("") == ((), "2026-05-01T09:59:00Z")
    listed = [
        remark(1, "x" * 9_000, second=5),
        remark(2, by="", second=6),
        remark(3, kind="issues", second=7),
        remark(4, f"{MARKER}\nreport", by="waas", second=8),
        remark(5, "/plan", by="waas", second=9),  # the token's owner is a person
        remark(6, f"{MARKER}\n/deploy", by="mallory", second=90),
    ]
    github.on(f"GET {AT}/issues/comments", Answer(body=listed))
    found, mark = forge.remarks("2026-05-01T09:59:00Z")
    assert [(r.id, r.pull, r.author) for r in found] == [
        ("1", 12, "ada"), ("5", 12, "waas"), ("6", 12, "mallory"),
    ]  # fmt: skip
    assert len(found[0].text) == 2_000
    assert mark == "2026-05-01T10:00:30Z"
    [asked] = [a.path for a in github.asked if "comments" in a.path]
    assert "since=2026-05-01T09%3A59%3A00Z" in asked


def test_the_mark_stays_while_nothing_is_written(github, forge):
    github.on(
        f"GET {AT}/issues/comments",
        Answer(body=[remark(1, second=10)], headers={"ETag": '"1"'}),
        Answer(304),
    )
    mark = "2026-05-01T10:00:00Z"
    for _ in range(3):
        found, next_mark = forge.remarks(mark)
        assert [r.id for r in found] == ["1"]  # who listens knows it; a kill loses nothing
        assert next_mark == mark
    assert github.asked[-1].headers["if-none-match"] == '"1"'


def test_more_remarks_than_are_read_at_once_come_next_time(github, forge, monkeypatch):
    monkeypatch.setattr(reading, "_MOST_REMARK_PAGES", 2)
    more = {"Link": f'<{github.url}{AT}/issues/comments?page=2>; rel="next"'}
    pages = [Answer(body=[remark(n, second=n * 100)], headers=more) for n in (1, 2, 3)]
    github.on(f"GET {AT}/issues/comments", *pages)
    found, mark = forge.remarks("2026-05-01T10:00:00Z")
    assert [r.id for r in found] == ["1", "2"]
    assert mark == "2026-05-01T10:03:20Z"  # that of the last one, not before it


class Mirror:
    """As ``ci.git.remote``, of which has commits by reference."""

    def __init__(self, refs: dict[str, str]) -> None:
        self.refs, self.held = refs, set()
        self.fetched: list[tuple[str, str, str]] = []

    def has(self, _git_dir: Path, commit: str) -> bool:
        return commit in self.held

    def fetch(self, git_dir: Path, url: str, refs: list[str], *, token: str) -> None:
        remote.make_mirror(git_dir)
        for ref in refs:
            self.fetched.append((url, ref, token))
            self.held.add(self.refs[ref])


@pytest.fixture
def mirror(monkeypatch) -> Mirror:
    made = Mirror({"refs/heads/main": MAIN, "refs/pull/7/head": f"{7:040x}"})
    monkeypatch.setattr(reading.remote, "has", made.has)
    monkeypatch.setattr(reading.remote, "fetch", made.fetch)
    return made


def test_a_commit_is_fetched_by_its_pull_request_once(github, forge, mirror):
    github.on(f"GET {AT}/pulls", Answer(body=[pull(7)]))
    forge.look()
    store = forge.fetch(f"{7:040x}")
    assert forge.fetch(f"{7:040x}") is store
    address = f"{github.url}/{SLUG}.git"
    assert mirror.fetched == [(address, "refs/pull/7/head", TOKEN)]
    forge.fetch(MAIN)
    assert mirror.fetched[1:] == [(address, "refs/heads/main", TOKEN)]


def test_all_the_commits_that_are_asked_for_are_there(github, forge, mirror):
    github.on(f"GET {AT}/pulls", Answer(body=[pull(7)]))
    forge.look()
    forge.fetch(f"{7:040x}", MAIN)
    assert mirror.held == {f"{7:040x}", MAIN}


def test_after_a_restart_a_commit_is_looked_for(github, forge, mirror):
    github.on(f"GET {AT}/pulls", Answer(body=[pull(7)]))
    forge.fetch(f"{7:040x}")
    assert [ref for _, ref, _ in mirror.fetched] == ["refs/pull/7/head"]


def test_the_head_of_a_closed_pull_request_is_found(github, forge, mirror):
    github.on(f"GET {AT}/commits/{7:040x}/pulls", Answer(body=[pull(7)]))
    forge.fetch(f"{7:040x}")
    assert [ref for _, ref, _ in mirror.fetched] == ["refs/pull/7/head"]


def test_a_commit_that_a_forced_push_took_away_is_said(github, forge, mirror):
    github.on(f"GET {AT}/pulls", Answer(body=[pull(7)]))
    with pytest.raises(EntryError, match="any more"):
        forge.fetch("d" * 40)
