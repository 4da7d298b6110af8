import os
import time

import pytest

from ci.errors import EntryError, SiteError
from ci.git.names import NONE
from ci.git.refs import move_ref, read_ref

PULL = "refs/pull/7/head"


def test_a_branch_moves_from_where_it_is(repository) -> None:
    first, second = repository.commit({"a": "1"}), repository.commit({"a": "2"})
    repository.git("branch", "topic", first)
    move_ref(repository.git_dir, "refs/heads/topic", second, first, why="merge of #7\nby Ada")
    assert read_ref(repository.git_dir, "refs/heads/topic") == second
    assert "merge of #7 by Ada" in repository.git("reflog", "show", "topic")


def test_it_does_not_move_from_where_it_is_not(repository) -> None:
    first, second = repository.commit({"a": "1"}), repository.commit({"a": "2"})
    third = repository.commit({"a": "3"})
    repository.git("branch", "topic", second)
    with pytest.raises(EntryError, match="moved meanwhile"):
        move_ref(repository.git_dir, "refs/heads/topic", third, first)
    with pytest.raises(EntryError, match="moved meanwhile"):
        move_ref(repository.git_dir, "refs/heads/topic", third, NONE)
    assert read_ref(repository.git_dir, "refs/heads/topic") == second


def test_moving_twice_is_moving_once(repository) -> None:
    first, second = repository.commit({"a": "1"}), repository.commit({"a": "2"})
    for _ in range(2):
        move_ref(repository.git_dir, PULL, first)
    for _ in range(2):
        move_ref(repository.git_dir, PULL, second, first)
    assert read_ref(repository.git_dir, PULL) == second
    assert len(repository.git("reflog", "show", PULL).splitlines()) == 2
    assert read_ref(repository.git_dir, "refs/heads/none") == NONE


def test_only_commits_that_are_there(repository) -> None:
    first = repository.commit({"a": "1"})
    blob = repository.blob(b"x")
    for new in ("1" * 40, blob):
        with pytest.raises(EntryError, match="no commit"):
            move_ref(repository.git_dir, "refs/heads/main", new, first)
    for new in ("main", NONE, "--stdin", first[:10], f"{first}\n"):
        with pytest.raises(EntryError):
            move_ref(repository.git_dir, "refs/heads/main", new, first)
    assert read_ref(repository.git_dir, "refs/heads/main") == first


@pytest.mark.parametrize(
    "ref",
    [
        *("main", "HEAD", "config", "refs/heads", "refs/heads/", "refs/heads/../../config"),
        *("--upload-pack=touch x", "refs/heads/-x", "refs/heads/a\nb", "refs/heads/a b"),
        *("refs/heads/a..b", "refs/heads/a.lock", "refs/heads/a.lock/b", "refs/heads/a//b"),
        *("refs/heads/a/.b", "refs/heads/@{1}", "refs/heads/a.", "refs/heads/a/", "refs/tags/v1"),
        *("refs/pull/0/head", "refs/pull/7/merge", "refs/pull/-7/head", "refs/pull/7/head\n"),
        *("refs/heads/a:refs/heads/main", "refs/heads/*", "^refs/heads/a", "refs/heads/\u202ea"),
        "refs/heads/" + "a" * 300,
    ],
)
def test_names_that_are_no_branch_are_refused(repository, ref: str) -> None:
    first = repository.commit({"a": "1"})
    with pytest.raises(EntryError, match="not the name"):
        move_ref(repository.git_dir, ref, first)
    assert repository.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_a_lock_of_one_that_was_killed_does_not_stay(repository) -> None:
    first = repository.commit({"a": "1"})
    second = repository.commit({"a": "2"})
    lock = repository.git_dir / "refs/heads/main.lock"
    lock.touch()
    with pytest.raises(SiteError, match="another process") as caught:
        move_ref(repository.git_dir, "refs/heads/main", first, second)
    assert caught.value.transient
    os.utime(lock, (time.time() - 3600,) * 2)
    move_ref(repository.git_dir, "refs/heads/main", first, second)
    assert read_ref(repository.git_dir, "refs/heads/main") == first
