"""Attacks by way of a repository, each shown to work on others, against all that we do with one."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ci.errors import EntryError
from ci.git.diff import diff
from ci.git.merged_tree import merged
from ci.git.remote import fetch, has
from ci.git.store import GitStore
from ci.trees import export

ROOT = Path(__file__).parents[3]
SECRET = "root:x:0:0:secret"


@pytest.fixture
def store(repository) -> Iterator[GitStore]:
    made = GitStore(repository.git_dir)
    yield made
    made.close()


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file that appears when somebody runs ``tmp_path/script``."""
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    return tmp_path / "ran"


def everything(store: GitStore, base: str, head: str, folder: Path) -> dict[str, str]:
    """Do all that is done with a pull request; what each step refused."""
    refused: dict[str, str] = {}

    def step(name: str, *arguments) -> None:
        try:
            STEPS[name](store, *arguments)
        except EntryError as error:
            refused[name] = str(error)

    for name in STEPS:
        step(name, base, head, folder / name)
    return refused


STEPS = {
    "list": lambda store, base, head, to: store.tree(head).entries(),
    "read": lambda store, base, head, to: [
        store.tree(head).read(e.path) for e in store.tree(head).entries()
    ],
    "changed": lambda store, base, head, to: store.changed_paths(base, head),
    "merge": lambda store, base, head, to: list(merged(store, base, head)[0].entries()),
    "diff": lambda store, base, head, to: diff(store, base, head),
    "log": lambda store, base, head, to: store.log(head, limit=10),
    "export": lambda store, base, head, to: store.export(head, [], to),
    "export-merged": lambda store, base, head, to: export(merged(store, base, head)[0], [], to),
}


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def nested(repository, inner: str, wide: int, deep: int) -> str:
    for _ in range(deep):
        listing = b"".join(f"040000 tree {inner}\td{n}\0".encode() for n in range(wide))
        inner = repository.git("mktree", "-z", stdin=listing)
    return inner


@pytest.mark.parametrize("target", ["{secret}", "../secret", "/proc/self/environ", "."])
def test_a_link_leaks_nothing(repository, store, tmp_path, target: str) -> None:
    (tmp_path / "secret").write_text(SECRET)
    base = repository.commit({"w/a": "1"})
    (repository.folder / "w/key").symlink_to(target.format(secret=tmp_path / "secret"))
    head = repository.commit({"w/b": "1"})
    refused = everything(store, base, head, tmp_path / "out")
    assert set(refused) == {"read", "export", "export-merged"}
    assert all("symbolic link" in reason for reason in refused.values())
    assert not (tmp_path / "out").exists() or files(tmp_path / "out") == {}
    assert SECRET not in str(diff(store, base, head))


def test_a_link_in_place_of_a_folder_is_not_written_through(repository, store, tmp_path) -> None:
    """A file ``w/out`` beside a link ``w`` cannot be in a tree of git: one name, two items."""
    outside = tmp_path / "outside"
    outside.mkdir()
    base = repository.commit({"a": "1"})
    link = repository.blob(str(outside).encode())
    inner = repository.git("mktree", stdin=f"100644 blob {link}\tout\n".encode())
    tree = b"".join(
        f"{mode} w\0".encode() + bytes.fromhex(name)
        for mode, name in (("120000", link), ("40000", inner))
    )
    arguments = ("hash-object", "-t", "tree", "-w", "--stdin", "--literally")
    head = repository.git(
        "commit-tree", "-m", "x", "-p", base, repository.git(*arguments, stdin=tree)
    )
    refused = everything(store, base, head, tmp_path / "new")
    assert set(refused) == set(STEPS) - {"log"}
    assert list(outside.iterdir()) == []


def test_an_embedded_repository_is_only_files(repository, store, tmp_path, canary) -> None:
    base = repository.commit({"a": "1"})
    bare = {
        "HEAD": "ref: refs/heads/main\n",
        "config": f"[core]\n\tbare = false\n\tworktree = .\n\tfsmonitor = {tmp_path}/script\n"
        f"\tpager = {tmp_path}/script\n\thooksPath = {tmp_path}\n",
        "objects/info/alternates": "/\n",
        "refs/heads/main": "0" * 40,
        "hooks/post-checkout": "#!/bin/sh\n",
    }
    head = repository.commit({**bare, **{f"w/repo/{name}": text for name, text in bare.items()}})
    assert everything(store, base, head, tmp_path / "out") == {}
    assert len(files(tmp_path / "out/export")) == 1 + 2 * len(bare)
    assert not canary.exists()


def test_a_repository_inside_a_tree_cannot_be_written_out(repository, store, tmp_path) -> None:
    base = repository.commit({"a": "1"})
    blob = repository.blob(b"[core]\n\tfsmonitor = x\n")
    for name in (".git", ".GIT", ".Git"):
        listing = f"100644 blob {blob}\tconfig\n".encode()
        inner = repository.git("mktree", stdin=listing)
        arguments = ("hash-object", "-t", "tree", "-w", "--stdin", "--literally")
        tree = f"40000 {name}\0".encode() + bytes.fromhex(inner)
        made = repository.git(*arguments, stdin=tree)
        head = repository.git("commit-tree", "-m", "x", "-p", base, made)
        with pytest.raises(EntryError, match="cannot be written out"):
            store.export(head, [], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_attributes_and_settings_in_a_tree_have_no_effect(
    repository, store, tmp_path, canary
) -> None:
    base = repository.commit({"a": "1"})
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    content = {
        ".gitattributes": "* export-subst ident filter=evil eol=crlf diff=evil merge=evil\n"
        "w/hidden export-ignore\n*.bin filter=lfs diff=lfs merge=lfs\n"
        "w/utf16 working-tree-encoding=UTF-16\n",
        ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% ran\n'
        "\tupdate = !touch ran\n",
        ".lfsconfig": "[lfs]\n\turl = http://127.0.0.1:1/\n",
        ".gitconfig": "[core]\n\tfsmonitor = touch ran\n",
        "w/version": "$Format:%H$ $Id$\n",
        "w/hidden": "seen\n",
        "w/large.bin": pointer,
        "w/utf16": "text\n",
    }
    for path, text in content.items():
        blob = repository.blob(text.encode())
        repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}")
    tree = repository.git("write-tree")
    head = repository.git("commit-tree", "-m", "odd", "-p", base, tree)
    for name in ("clean", "smudge", "process"):
        repository.git("config", f"filter.evil.{name}", str(tmp_path / "script"))
        repository.git("config", f"filter.lfs.{name}", str(tmp_path / "script"))
    repository.git("config", "merge.evil.driver", str(tmp_path / "script"))
    assert everything(store, base, head, tmp_path / "out") == {}
    wanted = {name: text.encode() for name, text in {"a": "1", **content}.items()}
    assert files(tmp_path / "out/export") == files(tmp_path / "out/export-merged") == wanted
    assert not canary.exists()


BOUNDED = """
import json, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from peak_memory import peak
from test_attacks import GitStore, everything
limit = 400 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
store = GitStore(Path(sys.argv[2]))
refused = everything(store, sys.argv[3], sys.argv[4], Path(sys.argv[5]))
store.close()
used = [peak(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
print(json.dumps([refused, used]))
"""


def bounded(repository, base: str, head: str, folder: Path) -> dict[str, str]:
    """``everything`` in a process with little memory and processor time; what was refused."""
    arguments = [str(Path(__file__).parent), str(repository.git_dir), base, head, str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    refused, used = json.loads(done.stdout)
    assert max(used) < 400 * 1024  # kilobytes
    assert not folder.exists()
    return dict(refused)


def size_of(repository) -> int:
    return sum(f.stat().st_size for f in (repository.git_dir / "objects").rglob("*") if f.is_file())


def test_a_tree_bomb_is_refused_in_little_memory(repository, tmp_path) -> None:
    base = repository.commit({"a": "1"})
    blob = repository.blob(b"x")
    listing = b"".join(f"100644 blob {blob}\tf{n}\0".encode() for n in range(32))
    inner = repository.git("mktree", "-z", stdin=listing)
    tree = nested(repository, inner, 32, 8)  # 10^13 files
    head = repository.git("commit-tree", "-m", "bomb", "-p", base, tree)
    assert size_of(repository) < 40_000
    refused = bounded(repository, base, head, tmp_path / "out")
    assert set(refused) == set(STEPS) - {"log"}
    assert all("more than 100000 files" in reason for reason in refused.values())


def test_folders_without_end_are_refused(repository, tmp_path) -> None:
    base = repository.commit({"a": "1"})
    blob = repository.blob(b"x")
    inner = repository.git("mktree", stdin=f"100644 blob {blob}\tf\n".encode())
    head = repository.git("commit-tree", "-m", "x", "-p", base, nested(repository, inner, 1, 60))
    refused = bounded(repository, base, head, tmp_path / "out")
    assert set(refused) == set(STEPS) - {"log"}
    assert all("deep" in reason for reason in refused.values())


def test_a_file_of_zeros_is_never_in_memory(repository, tmp_path) -> None:
    base = repository.commit({"a": "1"})
    with (repository.folder / "zeros").open("wb") as file:
        file.truncate(300 * 2**20)
    repository.git("-c", "core.bigFileThreshold=1m", "-c", "core.compression=1", "add", "zeros")
    repository.git("commit", "--quiet", "-m", "zeros")
    head = repository.git("rev-parse", "HEAD")
    assert size_of(repository) < 3_000_000
    refused = bounded(repository, base, head, tmp_path / "out")
    assert set(refused) == {"read", "export", "export-merged"}
    assert all("314572800 bytes" in reason for reason in refused.values())


def test_files_that_share_a_blob_are_refused_by_their_sum(
    repository, store, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = repository.commit({"a": "1"})
    blob = repository.blob(bytes(1_000_000))
    listing = b"".join(f"100644 blob {blob}\tf{n}\0".encode() for n in range(50))
    made = repository.git("mktree", "-z", stdin=listing)
    head = repository.git("commit-tree", "-m", "x", "-p", base, made)
    monkeypatch.setattr("ci.trees.MAX_TOTAL", 20_000_000)
    refused = everything(store, base, head, tmp_path / "out")
    assert {"list", "export", "merge"} <= set(refused)
    assert all("larger than 20000000" in reason for reason in refused.values())


def test_names_that_cannot_be_written_are_the_contributors(repository, store, tmp_path) -> None:
    base = repository.commit({"a": "1"})
    blob = repository.blob(b"x")
    long = repository.commit_tree(f"100644 blob {blob}\t{'n' * 256}\0".encode())
    inner = repository.git("mktree", stdin=f"100644 blob {blob}\tf\n".encode())
    for _ in range(8):
        listing = f"040000 tree {inner}\t{'d' * 200}\n".encode()
        inner = repository.git("mktree", stdin=listing)
    deep = repository.git("commit-tree", "-m", "x", inner)
    for head in (long, deep):
        with pytest.raises(EntryError, match="too long"):
            store.export(head, [], tmp_path / "out")
        with pytest.raises(EntryError, match="too long"):
            store.tree(head).entries()
    assert everything(store, base, base, tmp_path / "out") == {}


def test_a_commit_with_odd_people_and_times_can_be_listed(repository, store) -> None:
    tree = repository.git("mktree", stdin=b"")
    text = f"tree {tree}\nauthor \x1b[31m\u202e <a@b> x\ncommitter c <d> never +0000\n\nhello\n"
    arguments = ("hash-object", "-t", "commit", "-w", "--stdin", "--literally")
    (line,) = store.log(repository.git(*arguments, stdin=text.encode()))
    assert (line.subject, line.time) == ("hello", 0)
    assert line.author.isprintable()


def test_limits_of_our_own_are_kept(repository, store) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from ci.git.process import git_running\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (30, 30))\n"
        "with git_running(Path(sys.argv[1]), 'cat-file', '--batch') as process:\n"
        "    print(open(f'/proc/{process._process.pid}/limits').read())\n"
    )
    command = [sys.executable, "-c", code, str(repository.git_dir)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line]
    limits = {line[:26].strip(): line[26:].split()[0] for line in lines}
    assert limits["Max cpu time"] == "30"
    assert limits["Max file size"] == "0"
    assert limits["Max address space"] == str(2 * 1024**3)


def test_the_same_by_way_of_a_mirror(repository, git_server, tmp_path, canary) -> None:
    """What a mirror holds is treated as what a repository of ours holds."""
    base = repository.commit({"a": "1"})
    head = repository.commit({".gitattributes": "* export-ignore\n", "HEAD": "x", "objects/x": "x"})
    repository.git("update-ref", "refs/pull/1/head", head)
    mirror = tmp_path / "m.git"
    fetch(mirror, git_server.url("repository"), ["refs/heads/main", "refs/pull/1/head"])
    assert has(mirror, head)
    assert everything(GitStore(mirror), base, head, tmp_path / "out") == {}
    assert set(files(tmp_path / "out/export")) == {".gitattributes", "HEAD", "a", "objects/x"}
    assert not canary.exists()
