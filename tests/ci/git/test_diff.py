import os
import subprocess
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.git import diff as diff_module
from ci.git.diff import Change, changes, diff, unified, visible
from ci.git.store import GitStore


@pytest.fixture
def store(repository) -> Iterator[GitStore]:
    made = GitStore(repository.git_dir)
    yield made
    made.close()


def shown(repository, store: GitStore, old: bytes, new: bytes, **options) -> tuple[str, ...]:
    change = Change("a", repository.blob(old), repository.blob(new), 0o100644, 0o100644)
    return unified(store, change, **options).lines


def test_the_changes_of_a_branch_since_it_left_main(repository, store: GitStore) -> None:
    start = repository.commit({"a": "1\n", "b": "1\n", "gone": "x\ny\n", "tool": "1\n"})
    repository.git("checkout", "--quiet", "-b", "topic")
    repository.git("rm", "--quiet", "gone")
    (repository.folder / "tool").chmod(0o755)
    head = repository.commit({"a": "2\n", "new/c": "n"})
    repository.git("checkout", "--quiet", "main")
    main = repository.commit({"b": "2\n"})
    seen = diff(store, main, head)
    assert seen == diff(store, start, head)
    assert [(c.path, c.kind, t.added, t.removed, t.note) for c, t in seen.files] == [
        ("a", "changed", 1, 1, ""),
        ("gone", "removed", 0, 2, ""),
        ("new/c", "added", 1, 0, ""),
        ("tool", "changed", 0, 0, "mode 100644 became 100755"),
    ]
    texts = [text.lines for _, text in seen.files]
    assert texts[0] == ("@@ -1 +1 @@", "-1", "+2")
    assert texts[1] == ("@@ -1,2 +0,0 @@", "-x", "-y")
    assert texts[2] == ("@@ -0,0 +1 @@", "+n", "\\ No newline at end of file")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(*[st.lists(st.sampled_from([b"a", b"-b", b"+c", b"@@ d", b"\\ e", b""]), max_size=9)] * 2)
def test_it_is_a_patch_that_git_applies(repository, store, old, new) -> None:
    before, after = b"\n".join(old), b"\n".join(new)
    if before == after:
        return
    change = Change(
        "a",
        repository.blob(before) if before else "",
        repository.blob(after) if after else "",
        0o100644,
        0o100644,
    )
    lines = unified(store, change).lines
    names = [
        "--- a/a" if change.old else "--- /dev/null",
        "+++ b/a" if change.new else "+++ /dev/null",
    ]
    head = ["diff --git a/a b/a"]
    head += [] if change.old else ["new file mode 100644"]
    head += [] if change.new else ["deleted file mode 100644"]
    patch = "\n".join([*head, *names, *lines]) + "\n"
    file = repository.folder / "a"
    file.unlink(missing_ok=True)
    if change.old:
        file.write_bytes(before)
    repository.git("apply", "--unidiff-zero", "-", stdin=patch.encode())
    assert (file.read_bytes() if change.new else b"") == after


def test_context_is_as_wide_as_asked_for(repository, store: GitStore) -> None:
    old = b"".join(b"%d\n" % n for n in range(20))
    new = old.replace(b"10\n", b"ten\n")
    assert len(shown(repository, store, old, new)) == 1 + 3 + 2 + 3
    assert len(shown(repository, store, old, new, context=0)) == 1 + 2


def test_nothing_hides_from_a_reviewer(repository, store: GitStore) -> None:
    hostile = (
        'a = "\u202e \u2066# admin\u2069 \u2066"\n\x1b]0;owned\x07\x1b[2Jx\r\nzero\u200bwidth\x00'
    )
    lines = shown(repository, store, b"x\n" * 5000, b"x\n" * 5000 + hostile.encode())
    text = "\n".join(lines)
    for hidden in "\u202e\u2066\u2069\x1b\x07\r\u200b\x00":
        assert hidden not in text
    for escape in (r"\u202e", r"\u2066", r"\x1b]0;", r"\x1b[2Jx\r", r"\u200b", r"\x00"):
        assert escape in text
    assert Change("a\u202eb\n", "", "").shown == r"a\u202eb\n"
    assert "\\xff" in shown(repository, store, b"a\n", b"\xff\n")[2]


def test_a_heading_of_a_hunk_is_made_visible_too(repository, store: GitStore) -> None:
    old = "int \u202emain()\n".encode() + b" x\n" * 20
    (heading, *_) = shown(repository, store, old, old + b" y\n")
    assert heading.startswith("@@ -19,3 +19,4 @@ int ")
    assert "\u202e" not in heading


@given(st.text())
def test_what_is_visible_can_be_printed(text: str) -> None:
    assert all(c.isprintable() or c == "\t" for c in visible(text))


def test_long_lines_are_cut(repository, store: GitStore) -> None:
    lines = shown(repository, store, b"a\n", b"y" * 100_000 + b"\n")
    assert max(map(len, lines)) < 2100
    assert lines[2].endswith("… and 98001 characters more")


def test_what_cannot_be_compared_is_named(repository, store: GitStore) -> None:
    link, module = repository.blob(b"/etc/passwd"), "1" * 40
    base = repository.commit({"a": "1"})
    listing = (
        f"100644 blob {repository.blob(bytes(2_000_000))}\tbig\x00"
        f"120000 blob {link}\tlink\x00160000 commit {module}\tmodule\x00"
        f"100644 blob {repository.blob(bytes(100))}\tzeros\x00"
    )
    head = repository.commit_tree(listing.encode())
    seen = {c.path: t for c, t in diff(store, base, head).files}
    assert "too large to be shown (2000000 bytes)" in seen["big"].note
    assert seen["zeros"].note == "binary"
    assert "symbolic link" in seen["link"].note
    assert seen["link"].lines[1] == "+/etc/passwd"
    assert "its content is not used" in seen["module"].note
    assert (seen["big"].lines, seen["zeros"].lines, seen["module"].lines) == ((), (), ())


def test_a_missing_blob_is_a_note(repository, store: GitStore) -> None:
    text = unified(store, Change("a", "1" * 40, repository.blob(b"x"), 0o100644, 0o100644))
    assert "missing" in text.note
    assert text.lines == ()


def test_files_and_lines_have_limits_and_the_rest_is_counted(
    repository, store: GitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = repository.commit({"a": "1"})
    head = repository.commit({f"f{n}": "x\n" * 10 for n in range(6)})
    monkeypatch.setattr(diff_module, "MAX_FILES", 4)
    monkeypatch.setattr(diff_module, "MAX_LINES", 15)
    seen = diff(store, base, head)
    assert [(len(t.lines), t.left_out) for _, t in seen.files] == [(11, 0), (4, 7), (0, 0), (0, 0)]
    assert "too much" in seen.files[2][1].note
    assert seen.left_out == 2


def test_comparing_ends(repository, store: GitStore, monkeypatch: pytest.MonkeyPatch) -> None:
    base = repository.commit({"a": "1\n", "b": "1\n"})
    head = repository.commit({"a": "2\n", "b": "2\n"})
    monkeypatch.setattr(diff_module, "SECONDS", -1.0)
    assert [t.note for _, t in diff(store, base, head).files] == [diff_module._TOO_MUCH.note] * 2


def test_programs_and_attributes_of_the_repository_do_not_run(
    repository, store: GitStore, tmp_path
) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    for name in ("diff.external", "diff.evil.command", "diff.evil.textconv", "core.pager"):
        repository.git("config", name, str(script))
    repository.git("config", "color.diff", "always")
    base = repository.commit({".gitattributes": "* diff=evil\n*.py binary\n", "a.py": "1\n"})
    head = repository.commit({"a.py": "2\n"})
    (repository.git_dir / "info").mkdir(exist_ok=True)
    (repository.git_dir / "info/attributes").write_text("* diff=evil\n")
    ((_, text),) = diff(store, base, head).files
    assert text.lines == ("@@ -1 +1 @@", "-1", "+2")
    assert not (tmp_path / "ran").exists()


def test_a_tree_bomb_is_refused(repository, store: GitStore) -> None:
    base = repository.commit({"a": "1"})
    made = repository.git("write-tree")
    for _ in range(12):
        listing = b"".join(f"040000 tree {made}\td{n}\0".encode() for n in range(12))
        made = repository.git("mktree", "-z", stdin=listing)
    head = repository.git("commit-tree", "-m", "bomb", "-p", base, made)
    with pytest.raises(EntryError, match="more than"):
        changes(store, base, head)


def test_files_that_take_long_to_compare_are_given_up(
    repository, store: GitStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff_module, "_PERMIT", diff_module.Permit(seconds=0.001))
    old, new = (repository.blob(os.urandom(400_000).replace(b"\0", b"\n")) for _ in range(2))
    text = unified(store, Change("a", old, new, 0o100644, 0o100644))
    assert "took more than" in text.note


def test_it_is_what_git_shows(repository, store: GitStore) -> None:
    base = repository.commit({"a": "".join(f"{n}\n" for n in range(100))})
    head = repository.commit({"a": "".join(f"{n * n // 7}\n" for n in range(100))})
    command = ["git", "-C", str(repository.folder), "diff", "--no-color", base, head]
    wanted = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    ((_, text),) = diff(store, base, head).files
    assert list(text.lines) == wanted[4:]
