"""Whatever GitHub is told is there once, however often and by however many it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from app_credentials import TOKEN, fresh, private_key
from scripted_http import Answer, serving
from small_github import HEAD, OURS, SLUG, SmallGitHub

from ci.errors import SiteError
from ci.findings import Finding, Severity
from hooks.forge_choice import GitHubConnection
from hooks.forges.github.connection import Connection
from hooks.forges.github.markdown import MARKER
from hooks.forges.github.notices import GitHubNotices
from hooks.forges.seams import Comment, DeploymentNotice, Status


@pytest.fixture
def github() -> Iterator[SmallGitHub]:
    with serving(SmallGitHub()) as small:
        small.on("POST /app/installations/9/access_tokens", fresh("ghs_first"))
        small.on("GET /app", Answer(body={"slug": "waas"}))
        small.on("GET /user", Answer(body={"login": OURS}))
        yield small


@pytest.fixture
def notices(github: SmallGitHub) -> GitHubNotices:
    return by_app(github)


def by_app(github: SmallGitHub) -> GitHubNotices:
    settings = GitHubConnection("public", github.url, app=7, installation=9)
    return GitHubNotices(Connection(settings, lambda _: private_key()), SLUG)


def by_token(github: SmallGitHub) -> GitHubNotices:
    return GitHubNotices(Connection(GitHubConnection("public", github.url), lambda _: TOKEN), SLUG)


def status(state: str = "PASSED", **given) -> Status:
    return Status(**{"head": HEAD, "base": "b" * 40, "state": state, "summary": "fine", "pull": 3,
                     **given})  # fmt: skip


def finding(number: int = 1, **given) -> Finding:
    return Finding(**{"rule": "yaml/keys", "severity": Severity.ERROR, "path": "w/x.yaml",
                      "line": number, "column": 2, "message": "no", **given})  # fmt: skip


COMMENT = Comment("text", "all is **well**")


def again(act: Callable[[], None]) -> None:
    """As the engine does it: a step that failed for the world's sake runs again."""
    with pytest.raises(SiteError) as told:
        act()
    assert told.value.transient
    act()


def test_a_comment_is_put_once_and_edited_in_place(github, notices):
    notices.upsert_comment(3, COMMENT)
    notices.upsert_comment(3, Comment("", "news"))
    [comment] = github.comments
    assert comment["body"] == f"{MARKER}\nnews"
    writes = github.writes
    notices.upsert_comment(3, Comment("", "news"))
    by_app(github).upsert_comment(3, Comment("", "news"))  # after a restart
    assert github.writes == writes


def test_a_stranger_s_comment_with_our_marker_is_left_alone(github, notices):
    forged = github.comment(3, "mallory", f"{MARKER}\nall is well")
    notices.upsert_comment(3, COMMENT)
    assert forged["body"] == f"{MARKER}\nall is well"
    assert [c["user"]["login"] for c in github.comments] == ["mallory", OURS]


def test_our_comment_is_found_behind_hundreds(github, notices):
    for _ in range(250):
        github.comment(3, "ada", "talk")
    notices.upsert_comment(3, COMMENT)
    notices.upsert_comment(3, Comment("", "news"))
    assert sum(c["user"]["login"] == OURS for c in github.comments) == 1


def test_a_comment_whose_answer_was_lost_is_not_put_twice(github, notices):
    github.cut = {f"POST /repos/{SLUG}/issues/3/comments"}
    again(lambda: notices.upsert_comment(3, COMMENT))
    assert len(github.comments) == 1


def test_two_processes_leave_one_comment(github):
    """Both find none before either has written."""
    both, path = threading.Barrier(2), f"GET /repos/{SLUG}/issues/3/comments"
    met: list[str] = []

    def meet(what: str) -> None:
        if what == path and len(met) < 2:
            met.append(what)
            both.wait(5)

    github.before_answer = meet
    processes = [by_app(github), by_app(github)]
    threads = [threading.Thread(target=one.upsert_comment, args=(3, COMMENT)) for one in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    [comment] = github.comments
    assert comment["body"] == f"{MARKER}\n{COMMENT.markdown}"


def test_a_check_run_goes_from_pending_to_its_end(github, notices):
    notices.show(status("PENDING", summary="being validated"))
    assert github.runs[0]["status"] == "in_progress"
    notices.show(status("FAILED", findings=(finding(4), finding(severity=Severity.WARNING))))
    [run] = github.runs
    assert (run["name"], run["conclusion"]) == ("waas / validate", "failure")
    first, second = github.annotations[run["id"]]
    assert (first["path"], first["start_line"], first["start_column"]) == ("w/x.yaml", 4, 2)
    assert [first["annotation_level"], second["annotation_level"]] == ["failure", "warning"]


@pytest.mark.parametrize("state", ["PENDING", "PASSED", "FAILED", "CANCELLED"])
def test_what_a_check_run_shows_already_is_not_written(github, notices, state):
    shown = status(state, findings=(finding(),), link="https://waas/1", text="*x*")
    notices.show(shown)
    writes = github.writes
    notices.show(shown)
    by_app(github).show(shown)
    assert github.writes == writes


def test_annotations_go_in_batches_and_not_for_ever(github, notices):
    notices.show(status("FAILED", findings=tuple(finding(n + 1) for n in range(320))))
    [run] = github.runs
    lines = [a["start_line"] for a in github.annotations[run["id"]]]
    assert lines == list(range(1, 301))
    assert run["conclusion"] == "failure"
    assert "20 more findings" in run["output"]["summary"]


def test_annotations_go_on_where_a_killed_process_stopped(github, notices):
    many = status("FAILED", findings=tuple(finding(n + 1) for n in range(120)))
    github.cut = {f"POST /repos/{SLUG}/check-runs"}
    again(lambda: notices.show(many))
    [run] = github.runs
    assert [a["start_line"] for a in github.annotations[run["id"]]] == list(range(1, 121))
    assert run["status"] == "completed"


def test_another_verdict_gets_a_run_without_the_old_annotations(github, notices):
    notices.show(status("FAILED", findings=(finding(),)))
    notices.show(status("PASSED"))
    old, new = github.runs
    assert (old["conclusion"], new["conclusion"]) == ("failure", "success")
    assert not github.annotations[new["id"]]
    notices.show(status("PASSED"))
    assert len(github.runs) == 2


def test_pull_requests_with_the_same_commit_have_runs_of_their_own(github, notices):
    notices.show(status("PENDING"))
    notices.show(status("PASSED", pull=4))
    assert [run["status"] for run in github.runs] == ["in_progress", "completed"]


def test_findings_without_a_place_are_no_annotations(github, notices):
    notices.show(status("FAILED", findings=(finding(path=""), finding(0, column=0))))
    [run] = github.runs
    [note] = github.annotations[run["id"]]
    assert (note["start_line"], "start_column" in note) == (1, False)


def test_hostile_findings_are_shown_as_they_are(github, notices):
    hostile = finding(message="@ada\x1b[31m\ud800 <!-- hpcwaas -->", path="a\nb")
    notices.show(status("FAILED", findings=(hostile,), summary="step @ada #12 `x"))
    [run] = github.runs
    note = github.annotations[run["id"]][0]
    assert note["message"].isprintable()
    assert note["path"].isprintable()
    assert "@ada" not in run["output"]["summary"]
    assert "#12" not in run["output"]["summary"]


def test_a_token_shows_statuses_and_only_changes(github):
    notices = by_token(github)
    for state in ("PENDING", "PENDING", "FAILED", "FAILED"):
        notices.show(status(state, summary="x" * 300, link="https://waas/1"))
    notices.show(status("PASSED", name="build alpha"))
    by_token(github).show(status("FAILED", summary="x" * 300, link="https://waas/1"))
    assert [(s["context"], s["state"]) for s in github.statuses] == [
        ("waas / validate", "pending"),
        ("waas / validate", "failure"),
        ("waas / build alpha", "success"),
    ]
    assert len(github.statuses[0]["description"]) == 140


def test_a_status_whose_answer_was_lost_is_not_put_twice(github):
    github.cut = {f"POST /repos/{SLUG}/statuses/{HEAD}"}
    again(lambda: by_token(github).show(status()))
    assert len(github.statuses) == 1


def test_exactly_one_label_is_ours(github, notices):
    github.labels[3] = ["bug", "WAAS: Failed", "waas: validating"]
    notices.label(3, "validated")
    assert github.labels[3] == ["bug", "waas: validated"]
    assert github.known_labels["waas: validated"] == "0e8a16"
    writes = github.writes
    notices.label(3, "validated")
    assert github.writes == writes
    notices.label(3, "")
    assert github.labels[3] == ["bug"]


def test_a_label_that_the_repository_has_is_used(github, notices):
    github.known_labels["Waas: Failed"] = "123456"
    notices.label(3, "failed")
    assert github.labels[3] == ["waas: failed"]
    github.cut = {f"POST /repos/{SLUG}/issues/3/labels"}
    again(lambda: notices.label(3, "built"))
    assert github.labels[3] == ["waas: built"]


def deployed(state: str, commit: str = HEAD, **given) -> DeploymentNotice:
    return DeploymentNotice(commit, "alpha", given.pop("workflow", "waves"), state, **given)


def states(github: SmallGitHub, deployment: int) -> list[str]:
    return [s["state"] for s in github.deployment_statuses[deployment]]


def test_a_deployment_is_made_once_and_told_on(github, notices):
    for state in ("DEPLOYING", "DEPLOYING", "WAITING", "ACTIVE", "ACTIVE"):
        notices.show_deployment(deployed(state, summary="now", link="https://waas/"))
    [made] = github.deployments
    assert (made["task"], made["environment"]) == ("deploy:waves", "alpha")
    assert (made["auto_merge"], made["required_contexts"]) == (False, [])
    assert states(github, made["id"]) == ["in_progress", "queued", "success"]


def test_a_deployment_whose_answer_was_lost_is_not_made_twice(github, notices):
    github.cut = {f"POST /repos/{SLUG}/deployments"}
    again(lambda: notices.show_deployment(deployed("DEPLOYING")))
    [made] = github.deployments
    github.cut = {f"POST /repos/{SLUG}/deployments/{made['id']}/statuses"}
    again(lambda: notices.show_deployment(deployed("ACTIVE")))
    assert states(github, made["id"]) == ["in_progress", "success"]


def test_what_is_active_takes_the_place_of_what_was_and_of_nothing_else(github, notices):
    notices.show_deployment(deployed("ACTIVE"))
    notices.show_deployment(deployed("ACTIVE", workflow="tides"))
    notices.show_deployment(deployed("ACTIVE", "c" * 40))
    first, tides, second = (d["id"] for d in github.deployments)
    assert states(github, first) == ["success", "inactive"]
    assert states(github, tides) == states(github, second) == ["success"]
    sent = [a.body for a in github.asked if a.verb == "POST" and a.path.endswith("/statuses")]
    assert all(body["auto_inactive"] is False for body in sent)


def test_a_command_is_answered_with_a_reaction(github, notices):
    first, second = (github.comment(3, "ada", "/build")["id"] for _ in range(2))
    notices.answer(str(first), 3, accepted=True)
    notices.answer(str(second), 3, accepted=False)
    notices.answer("999", 3, accepted=True)  # it was deleted
    assert github.reactions == {(first, "rocket"), (second, "confused")}
