import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ci.errors import EntryError, SettingsError, SiteError
from ci.git import remote
from ci.git.refs import read_ref
from ci.git.remote import fetch, has, make_mirror, tidy
from ci.git.store import GitStore
from ci.git.writing import alone

MAIN, PULL = "refs/heads/main", "refs/pull/7/head"
NAME = "repository"
TOKEN = "ghs_secret0123456789"


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    return tmp_path / "mirrors" / "main.git"


def files_of(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def item(mode: str, name: str, target: str) -> bytes:
    return f"{mode} {name}\0".encode() + bytes.fromhex(target)


def pull_of(repository, tree: bytes) -> str:
    """A pull request with a tree object as it is given, however odd."""
    arguments = ("hash-object", "-t", "tree", "-w", "--stdin", "--literally")
    commit = repository.git("commit-tree", "-m", "odd", repository.git(*arguments, stdin=tree))
    repository.git("update-ref", PULL, commit)
    return str(commit)


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


def test_a_forced_push_moves_the_pull_request_and_the_older_commit_stays(
    repository, git_server, mirror
) -> None:
    first = repository.commit({"a": "1"})
    old = repository.commit({"a": "2"})
    repository.git("update-ref", PULL, old)
    fetch(mirror, git_server.url(NAME), [PULL])
    repository.git("reset", "--quiet", "--hard", first)
    new = repository.commit({"a": "3"})
    repository.git("update-ref", PULL, new)
    fetch(mirror, git_server.url(NAME), [PULL])
    assert read_ref(mirror, PULL) == new
    assert has(mirror, old)


def test_many_fetches_are_tidied_up_and_nothing_is_lost(repository, git_server, mirror) -> None:
    commits = []
    for number in range(5):
        repository.git("checkout", "--quiet", "--orphan", f"o{number}")
        commits.append(repository.commit({"a": f"{number}"}))
        repository.git("update-ref", PULL, commits[-1])
        fetch(mirror, git_server.url(NAME), [PULL])
    store = GitStore(mirror)
    assert store.tree(commits[0]).read("a") == b"0"
    packs = len(list((mirror / "objects/pack").glob("*.pack")))
    tidy(mirror)
    tidy(mirror)
    assert len(list((mirror / "objects/pack").glob("*.pack"))) < packs
    assert all(has(mirror, commit) for commit in commits)
    assert [store.tree(c).read("a") for c in commits] == [b"0", b"1", b"2", b"3", b"4"]
    assert read_ref(mirror, PULL) == commits[-1]
    store.close()


def test_all_references_move_or_none(
    repository, git_server, mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = repository.commit({"a": "1"})
    with pytest.raises(EntryError, match="no such branch or pull request"):
        fetch(mirror, git_server.url(NAME), [MAIN, PULL])
    assert GitStore(mirror).heads() == {}
    fetch(mirror, git_server.url(NAME), [MAIN])
    repository.git("update-ref", PULL, repository.commit({"a": "2"}))
    monkeypatch.setattr(remote, "remove_left_locks", lambda *_: None)
    (mirror / "refs/pull/7").mkdir(parents=True)
    (mirror / "refs/pull/7/head.lock").touch()  # by somebody who does not ask for our lock
    with pytest.raises(SiteError, match="another process holds") as caught:
        fetch(mirror, git_server.url(NAME), [MAIN, PULL])
    assert caught.value.transient
    assert read_ref(mirror, MAIN) == first


def test_a_commit_without_its_files_is_not_there(repository, git_server, mirror) -> None:
    """As a process that is killed while it unpacks would leave it, or a server that cheats."""
    commit = repository.commit({"a": "1"})
    fetch(mirror, git_server.url(NAME), [MAIN])
    later = repository.commit({"a": "2"})
    content = subprocess.run(
        ["git", "-C", repository.folder, "cat-file", "commit", later], capture_output=True
    ).stdout
    write = ["git", "--git-dir", mirror, "hash-object", "-t", "commit", "-w", "--stdin"]
    subprocess.run(write, input=content, check=True, capture_output=True)
    assert not has(mirror, later)
    assert has(mirror, commit)
    fetch(mirror, git_server.url(NAME), [MAIN])
    assert has(mirror, later)


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc", "/etc/passwd", "ssh://host/x", "git://host/x", "ext::sh -c touch% x", ""),
        *("http://example.org/x", "https://example.org", "https://user:secret@example.org/x"),
        *("--upload-pack=touch x", "https://-x/y", "https://h/../x", "https://h/x?y", "https://h/x#y"),
        *("https://h/a//b", "https://h/-x", "https://h/x\n", "https://h:x/y", "host:path"),
        *("http://127.0.0.1.example.org/x", "https://h/%2e%2e/x", "https://h/x y", "https://ü/x"),
    ],
)  # fmt: skip
def test_other_addresses_are_refused_and_passwords_not_repeated(mirror, url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        fetch(mirror, url, [MAIN])
    assert "secret" not in str(caught.value)
    assert not mirror.exists()


@pytest.mark.parametrize(
    "url", ["https://github.com/o/r.git", "https://h:8443/a/b", "http://[::1]:1/r"]
)
def test_addresses_of_repositories(url: str) -> None:
    assert remote.check_url(url).url == url


@pytest.mark.parametrize(
    "ref",
    [
        *("--upload-pack=touch x", "refs/heads/../..", "refs/heads/a\nrefs/heads/b", "HEAD"),
        *("refs/heads/*", "+refs/heads/a:refs/heads/main", "refs/tags/v1", "refs/pull/7/merge"),
    ],
)  # fmt: skip
def test_only_branches_and_pull_requests_are_fetched(repository, git_server, mirror, ref) -> None:
    repository.commit({"a": "1"})
    with pytest.raises(EntryError, match="not the name"):
        fetch(mirror, git_server.url(NAME), [MAIN, ref])
    assert git_server.requests == []


def test_a_token_is_given_and_left_nowhere(
    repository, git_server, mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit({"a": "1"})
    git_server.wants = f"x-access-token:{TOKEN}"
    started: list[str] = []
    real = subprocess.Popen

    def popen(command, *arguments, **options):
        started.append(" ".join(map(str, command)))
        return real(command, *arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    fetch(mirror, git_server.url(NAME), [MAIN], token=TOKEN)
    assert has(mirror, commit)
    word = remote._settings(remote.check_url(git_server.url(NAME)), TOKEN, "x")[-1][1].split()[-1]
    for secret in (TOKEN, word, TOKEN.encode().hex()):
        assert not any(secret in line for line in started)
        for file in mirror.rglob("*"):
            assert not file.is_file() or secret.encode() not in file.read_bytes()


@pytest.mark.parametrize("token", ["", "wrong"])
def test_refused_credentials(repository, git_server, mirror, token: str) -> None:
    repository.commit({"a": "1"})
    git_server.wants = f"x-access-token:{TOKEN}"
    with pytest.raises(SiteError, match="refused the credentials") as caught:
        fetch(mirror, git_server.url(NAME), [MAIN], token=token)
    assert not caught.value.transient
    assert "token" in caught.value.hint
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("token", ["a\r\nHost: evil", "a b\x00", "ü"])
def test_a_token_cannot_add_headers(git_server, mirror, token: str) -> None:
    with pytest.raises(SettingsError, match="no token has") as caught:
        fetch(mirror, git_server.url(NAME), [MAIN], token=token)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "said", "transient"),
    [
        (302, "is elsewhere", False),
        (403, "refused the credentials", False),
        (404, "has no such repository", False),
        (429, "cannot be reached", True),
        (500, "cannot be reached", True),
        (503, "cannot be reached", True),
    ],
)
def test_what_a_server_answers(git_server, send, mirror, status, said, transient) -> None:
    git_server.answer = lambda request: send(request, status, b"remote: Authentication failed\n")
    with pytest.raises(SiteError, match=said) as caught:
        fetch(mirror, git_server.url(NAME), [MAIN])
    assert caught.value.transient is transient


def test_a_server_that_is_not_there(mirror) -> None:
    with pytest.raises(SiteError, match="cannot be reached") as caught:
        fetch(mirror, "http://127.0.0.1:1/r", [MAIN])
    assert caught.value.transient


def test_redirections_are_not_followed(repository, git_server, send, mirror, tmp_path) -> None:
    repository.commit({"a": "1"})
    query = "info/refs?service=git-upload-pack"
    places = [
        f"file://{tmp_path}/repository/.git/{query}",
        f"http://localhost:{git_server.port}/{NAME}/{query}",
        f"ext::touch% {tmp_path}/ran",
    ]
    for place in places:
        git_server.requests.clear()
        git_server.answer = lambda r, to=place: send(r, 302, headers={"Location": to})
        with pytest.raises(SiteError):
            fetch(mirror, git_server.url(NAME), [MAIN])
        assert len(git_server.requests) == 1
    assert not (tmp_path / "ran").exists()
    assert GitStore(mirror).heads() == {}


@pytest.mark.parametrize("step", ["GET", "POST"])
@pytest.mark.parametrize(
    "content",
    [
        b"\0\1garbage" * 1000,
        b"",
        b"0030ERR fatal: Authentication failed\nfatal: owned",
        b"0008NAK\n" + b"0023\x02\x1b]0;owned\x07 Authentication fai" + b"0009\x01PACK",
        b"fff0" + b"A" * 100,
        b"001e# service=git-upload-pack\n0000" + b"ffff" + b"\xff" * 65531,
    ],
)
def test_garbage_is_an_error_without_a_word_of_it(
    repository, git_server, send, mirror, step: str, content: bytes
) -> None:
    repository.commit({"a": "1"})
    kind = {"GET": "advertisement", "POST": "result"}[step]
    headers = {"Content-Type": f"application/x-git-upload-pack-{kind}"}
    git_server.answer = lambda r: r.command == step and send(r, 200, content, headers)
    with pytest.raises((SiteError, EntryError)) as caught:
        fetch(mirror, git_server.url(NAME), [MAIN])
    assert "owned" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    git_server.answer = None
    fetch(mirror, git_server.url(NAME), [MAIN])


def test_a_server_that_hangs_is_left(
    repository, git_server, mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"a": "1"})
    released = threading.Event()
    git_server.answer = lambda request: released.wait(60)
    monkeypatch.setattr(remote, "TIMEOUT", 0.3)
    with pytest.raises(SiteError, match="did not answer within") as caught:
        fetch(mirror, git_server.url(NAME), [MAIN])
    assert caught.value.transient
    with alone(mirror, 5.0):
        pass  # none of its processes lives on: they would hold the lock
    released.set()
    git_server.answer = None
    monkeypatch.undo()
    fetch(mirror, git_server.url(NAME), [MAIN])


def test_a_server_that_breaks_off_leaves_nothing_behind(repository, git_server, mirror) -> None:
    repository.commit({"a": os.urandom(200_000)})

    def cut(request) -> bool:
        if request.command == "POST":
            write = request.wfile.write
            request.wfile.write = lambda data: write(data[:60_000])
            request.close_connection = True
        return False

    git_server.answer = cut
    make_mirror(mirror)
    before = files_of(mirror)
    with pytest.raises(SiteError, match="broke off"):
        fetch(mirror, git_server.url(NAME), [MAIN])
    assert files_of(mirror) == before | {"waas.lock"}


def test_too_much_is_refused_and_leaves_nothing_behind(
    repository, git_server, mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"a": os.urandom(300_000)})
    make_mirror(mirror)
    before = files_of(mirror)
    monkeypatch.setattr(remote, "MAX_PACK", 50_000)
    with pytest.raises(EntryError, match="more than may be fetched"):
        fetch(mirror, git_server.url(NAME), [MAIN])
    assert files_of(mirror) == before | {"waas.lock"}


def test_what_unpacks_without_end_ends(
    repository, git_server, mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = repository.folder / "zeros"
    with zeros.open("wb") as file:
        file.truncate(600_000_000)
    repository.git("-c", "core.bigFileThreshold=1m", "-c", "core.compression=1", "add", "zeros")
    zeros.unlink()
    repository.git("commit", "--quiet", "-m", "zeros")
    assert sum(f.stat().st_size for f in repository.git_dir.rglob("*") if f.is_file()) < 10**7
    monkeypatch.setattr(remote, "_CPU_SECONDS", 1)
    with pytest.raises(EntryError, match="more than may be fetched"):
        fetch(mirror, git_server.url(NAME), [MAIN])


@pytest.mark.parametrize("name", ["..", ".git", ".GIT", "a\\.git", "git~1", "\u200c.git"])
def test_trees_that_git_refuses_are_refused(repository, git_server, mirror, name: str) -> None:
    commit = repository.commit({"a": "1"})
    pull = pull_of(repository, item("100644", name, repository.blob(b"x")))
    with pytest.raises(EntryError, match="git's checks refuse"):
        fetch(mirror, git_server.url(NAME), [PULL])
    assert not has(mirror, pull)
    fetch(mirror, git_server.url(NAME), [MAIN])  # it stands in nobody's way
    assert has(mirror, commit)


def test_submodules_are_not_fetched(repository, git_server, mirror) -> None:
    modules = '[submodule "x"]\n\tpath = x\n\turl = ../other\n'
    blob = repository.blob(modules.encode())
    tree = item("100644", ".gitmodules", blob) + item("160000", "x", "1" * 40)
    pull = pull_of(repository, tree)
    fetch(mirror, git_server.url(NAME), [PULL])
    assert has(mirror, pull)
    assert all(f"/{NAME}/" in request for request in git_server.requests)
    assert not (mirror / "modules").exists()


def test_hostile_settings_of_the_mirror_are_replaced(
    repository, git_server, mirror, tmp_path
) -> None:
    make_mirror(mirror)
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    good = (mirror / "config").read_text()
    (mirror / "config").write_text(
        f"{good}[core]\n\tfsmonitor = {script}\n\tsshCommand = {script}\n\taskPass = {script}\n"
        f'[credential]\n\thelper = "!{script}"\n[protocol]\n\tallow = always\n'
        f'[url "ext::{script}"]\n\tinsteadOf = http://127.0.0.1\n[fetch]\n\tfsckObjects = false\n'
    )
    hooks = mirror / "hooks"
    hooks.mkdir()
    for name in ("reference-transaction", "post-checkout", "post-merge"):
        (hooks / name).symlink_to(script)
    repository.commit({"a": "1"})
    repository.git("config", "uploadpack.packObjectsHook", str(script))  # of the other side
    git_server.wants = "a:b"
    with pytest.raises(SiteError, match="refused the credentials"):
        fetch(mirror, git_server.url(NAME), [MAIN])
    git_server.wants = ""
    fetch(mirror, git_server.url(NAME), [MAIN])
    assert not (tmp_path / "ran").exists()
    assert (mirror / "config").read_text() == good


def test_our_own_environment_does_not_matter(
    repository, git_server, mirror, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit({"a": "1"})
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "ext::{script}"]\n\tinsteadOf = http://127.0.0.1\n')
    hostile = {
        **dict.fromkeys(("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_INDEX_FILE"), "/nonexistent"),
        **dict.fromkeys(("GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_PROXY_COMMAND"), str(script)),
        "GIT_CONFIG_GLOBAL": str(config),
        "HOME": str(tmp_path),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.bare",
        "GIT_CONFIG_VALUE_0": "not a boolean",
        "GIT_ALLOW_PROTOCOL": "ext:file",
        "GIT_TRACE": str(tmp_path / "ran"),
        "http_proxy": "http://127.0.0.1:1",
        "GIT_EXEC_PATH": str(tmp_path),
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    fetch(mirror, git_server.url(NAME), [MAIN])
    assert has(mirror, commit)
    assert not (tmp_path / "ran").exists()


def test_several_fetch_at_once(repository, git_server, mirror) -> None:
    heads = []
    for number in range(1, 7):
        heads.append(repository.commit({"a": f"{number}"}))
        repository.git("update-ref", f"refs/pull/{number}/head", heads[-1])
    url = git_server.url(NAME)
    wanted = [[MAIN, f"refs/pull/{number}/head"] for number in range(1, 7)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda refs: fetch(mirror, url, refs), wanted))
    assert all(has(mirror, head) for head in heads)


KILLED = """
import sys
from pathlib import Path
from ci.git.remote import fetch
fetch(Path(sys.argv[1]), sys.argv[2], ["refs/heads/main"])
"""


def test_a_process_that_is_killed_blocks_nobody(repository, git_server, mirror) -> None:
    commit = repository.commit({"a": os.urandom(200_000)})
    asked, released = threading.Event(), threading.Event()

    def stall(request) -> bool:
        asked.set()
        released.wait(60)
        return False

    git_server.answer = stall
    command = [sys.executable, "-c", KILLED, str(mirror), git_server.url(NAME)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3]) as process:
        assert asked.wait(30)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with pytest.raises(SiteError, match="written to by another"), alone(mirror, 0.0):
        pass  # its git is still at work, and holds the lock
    for left in ("refs/heads/main.lock", "packed-refs.lock", "HEAD.lock"):
        (mirror / left).touch()
    for left in ("tmp_pack_abc", "tmp_idx_abc", "pack-1.keep"):
        (mirror / "objects/pack" / left).touch()
    git_server.answer = None
    released.set()
    fetch(mirror, git_server.url(NAME), [MAIN])
    assert has(mirror, commit)
    assert not [f for f in files_of(mirror) if f.endswith((".lock", ".keep")) and "waas" not in f]
    assert not [f for f in files_of(mirror) if "tmp_" in f]


def test_a_mirror_is_made_once(mirror, repository) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make_mirror, [mirror] * 4))
    assert files_of(mirror.parent) == {"main.git/HEAD", "main.git/config"}
    assert GitStore(mirror).heads() == {}


def test_a_mirror_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot make the mirror"):
        make_mirror(tmp_path / "file" / "x.git")
