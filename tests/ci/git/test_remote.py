import pytest

from ci.git.refs import read_ref
from ci.git.remote import fetch, has
from ci.git.store import GitStore

MAIN, PULL = "refs/heads/main", "refs/pull/7/head"
NAME = "repository"


@pytest.fixture
def mirror(tmp_path):
    return tmp_path / "mirrors" / "main.git"


def test_branches_and_pull_requests_are_brought(repository, git_server, mirror) -> None:
    first = repository.commit({"a": "1"})
    pull = repository.commit({"a": "2"})
    repository.git("update-ref", PULL, pull)
    repository.git("reset", "--quiet", "--hard", first)
    repository.git("tag", "v1")
    assert not has(mirror, pull)
    fetch(mirror, git_server.url(NAME), [MAIN, PULL])
    assert has(mirror, first)
    assert has(mirror, pull)
    assert GitStore(mirror).tree(pull).read("a") == b"2"
    assert read_ref(mirror, PULL) == pull
    assert GitStore(mirror).heads() == {"main": first}
    assert not (mirror / "refs/tags").exists()
    moved = repository.commit({"a": "3"})
    repository.git("update-ref", PULL, moved)
    fetch(mirror, git_server.url(NAME), [PULL])
    assert (read_ref(mirror, PULL), read_ref(mirror, MAIN)) == (moved, first)
