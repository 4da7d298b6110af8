"""A bare repository as a forge, driven by real ``git push``."""

import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from hooks.forges import git_hook
from hooks.forges.bare_git import BareGitForge, create
from hooks.forges.seams import Comment, Ending, Proposal, Status

GIT_ENV = {
    **{k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Developer",
    "GIT_AUTHOR_EMAIL": "developer@example.org",
    "GIT_COMMITTER_NAME": "Developer",
    "GIT_COMMITTER_EMAIL": "developer@example.org",
}


def git(folder: Path, *args: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["git", *args], cwd=folder, env=GIT_ENV, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 or not ok, done.stderr
    return done


@pytest.fixture
def forge(tmp_path) -> BareGitForge:
    seed = tmp_path / "seed"
    (seed / "minimal").mkdir(parents=True)
    (seed / "README.md").write_text("start\n")
    create(tmp_path / "registry.git", seed)
    return BareGitForge(tmp_path / "registry.git")


@pytest.fixture
def clone(tmp_path, forge) -> Path:
    git(tmp_path, "clone", "-q", str(tmp_path / "registry.git"), "clone")
    return tmp_path / "clone"


def commit(clone: Path, name: str, branch: str = "topic") -> str:
    git(clone, "checkout", "-q", "-B", branch)
    (clone / name).write_text(name)
    git(clone, "add", name)
    git(clone, "commit", "-q", "-m", name)
    return git(clone, "rev-parse", "HEAD").stdout.strip()


def passed(forge: BareGitForge, head: str, base: str, state: str = "PASSED") -> None:
    status = {"head": head, "base": base, "state": state, "summary": "2 errors", "pull": 1}
    forge.upsert_comment(1, Comment("## all good", "markdown"))
    forge.mailbox.write_status(head, status)


def test_a_new_repository_starts_with_the_seed_on_main(forge, clone):
    assert forge.look().proposals == ()
    assert (clone / "README.md").read_text() == "start\n"


def test_making_it_again_changes_nothing(forge, tmp_path):
    before = forge.look()
    create(tmp_path / "registry.git", tmp_path / "seed")
    assert forge.look() == before


def test_a_pushed_branch_is_a_delivery_and_the_pusher_reads_the_verdict(forge, clone):
    base = forge.look().main
    head = commit(clone, "a")

    def service() -> None:
        until = time.monotonic() + 10
        while not list(forge.mailbox.received()) and time.monotonic() < until:
            time.sleep(0.02)
        passed(forge, head, base)

    thread = threading.Thread(target=service)
    thread.start()
    pushed = git(clone, "push", "-q", "origin", "topic")
    thread.join()
    assert "remote: ## all good" in pushed.stderr
    [(name, event)] = forge.mailbox.received()
    assert event["ref"] == "refs/heads/topic"
    assert (event["old"], event["new"]) == ("0" * 40, head)
    forge.mailbox.taken(name)
    assert list(forge.mailbox.received()) == []


def test_main_refuses_what_was_never_validated(forge, clone):
    commit(clone, "a")
    pushed = git(clone, "push", "origin", "topic:main", ok=False)
    assert pushed.returncode != 0
    assert "has not been validated: push it as a branch first" in pushed.stderr


@pytest.mark.parametrize(
    ("state", "base", "sentence"),
    [
        ("FAILED", None, "did not pass: 2 errors"),
        ("PENDING", None, "still being validated"),
        ("PASSED", "1" * 40, "validated against an older main"),
    ],
)
def test_main_refuses_what_did_not_pass_for_this_very_pair(forge, clone, state, base, sentence):
    head = commit(clone, "a")
    passed(forge, head, base or forge.look().main, state)
    pushed = git(clone, "push", "origin", "topic:main", ok=False)
    assert pushed.returncode != 0
    assert sentence in pushed.stderr
    assert forge.look().main != head


def test_main_takes_a_validated_pair(forge, clone):
    head = commit(clone, "a")
    passed(forge, head, forge.look().main)
    git(clone, "push", "-q", "origin", "topic:main")
    assert forge.look().main == head


def test_main_only_moves_forward_even_by_force(forge, clone):
    base = forge.look().main
    head = commit(clone, "a")
    passed(forge, head, base)
    git(clone, "push", "-q", "origin", "topic:main")
    passed(forge, base, head)
    pushed = git(clone, "push", "--force", "origin", f"{base}:main", ok=False)
    assert "main only moves forward" in pushed.stderr
    assert git(clone, "push", "origin", ":main", ok=False).returncode != 0
    assert forge.look().main == head


def test_only_branches_can_be_pushed(forge, clone):
    commit(clone, "a")
    git(clone, "tag", "v1")
    assert "only branches" in git(clone, "push", "origin", "v1", ok=False).stderr


def test_nothing_in_the_repository_is_imported_by_its_hooks(forge, clone, tmp_path):
    bare = tmp_path / "registry.git"
    for name in ("json.py", "hooks.py", "subprocess.py"):
        (bare / name).write_text("raise SystemExit('imported from the repository')\n")
    head = commit(clone, "a")
    passed(forge, head, forge.look().main)
    assert "## all good" in git(clone, "push", "origin", "topic").stderr


def test_a_push_is_recorded_although_no_service_runs(forge, clone, tmp_path):
    commit(clone, "a")
    hook = tmp_path / "registry.git" / "hooks" / "post-receive"
    text = hook.read_text()
    assert text.startswith("#!/bin/sh")
    started = time.monotonic()
    process = subprocess.Popen(
        ["git", "push", "origin", "topic"], cwd=clone, env=GIT_ENV, stderr=subprocess.DEVNULL
    )
    while not list(forge.mailbox.received()):
        assert time.monotonic() - started < 15
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert [e["ref"] for _, e in forge.mailbox.received()] == ["refs/heads/topic"]


def test_mail_that_is_none_keeps_no_other_back(forge):
    for number, text in enumerate(["[]", "3", "{", "", "[" * 100_000]):
        (forge.mailbox.root / "deliveries" / f"a{number}.json").write_text(text)
    name = forge.mailbox.send({"ref": "refs/heads/a"})
    assert list(forge.mailbox.received()) == [(name, {"ref": "refs/heads/a"})]


def test_many_branches_wait_no_longer_than_one(forge, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(git_hook.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(git_hook.time, "sleep", lambda seconds: now.append(now.pop() + seconds))
    old, judged = "0" * 40, "f" * 40
    lines = [f"{old} {number:040x} refs/heads/b{number}" for number in range(1, 20)]
    passed(forge, judged, old)
    git_hook.post_receive(forge.mailbox.root.parent, [*lines, f"{old} {judged} refs/heads/last"])
    assert now[0] < git_hook.WAIT_SECONDS + 1
    assert "all good" in capsys.readouterr().out
    assert len(list(forge.mailbox.received())) == 20


def test_branches_ahead_of_main_are_proposals_and_main_says_how_they_ended(forge, clone):
    base, head = forge.look().main, commit(clone, "a")
    passed(forge, head, base)
    passed(forge, base, base)
    git(clone, "push", "-q", "origin", "topic", "main:left-behind")
    assert forge.look().proposals == (Proposal("topic", head),)
    assert forge.ending(1, head) == Ending(False)
    passed(forge, head, base)
    git(clone, "push", "-q", "origin", "HEAD:main")
    assert forge.look().proposals == ()
    assert forge.ending(1, head) == Ending(True, head)


def test_a_pull_request_can_be_fetched_by_its_number_and_stays(forge, clone):
    head = commit(clone, "a")
    passed(forge, head, forge.look().main)  # so that the push does not wait
    git(clone, "push", "-q", "origin", "topic")
    for state in ("PENDING", "PASSED"):
        forge.show(Status(head, forge.look().main, state, "", 1))
    git(clone, "push", "-q", "origin", "--delete", "topic")
    git(clone, "fetch", "-q", "origin", "pull/1/head")
    assert git(clone, "rev-parse", "FETCH_HEAD").stdout.strip() == head


def test_what_is_shown_of_builds_does_not_change_the_verdict(forge, clone):
    head, base = commit(clone, "a"), forge.look().main
    passed(forge, head, forge.look().main)  # so that the push does not wait
    git(clone, "push", "-q", "origin", "topic")
    forge.show(Status(head, base, "PASSED", "", 1))
    forge.show(Status(head, base, "FAILED", "no image", 1, name="build alpha"))
    assert forge.mailbox.status(head)["state"] == "PASSED"
