"""What a person sees of a pull request: its changes, file by file.

Files are compared by ``git diff`` as two blobs: no attribute, filter or program of the repository
has a say. A reviewer must see what is there: control characters, and those that reorder or hide
text (https://trojansource.codes), are shown as escapes. All that is not shown is counted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from ci.errors import EntryError
from ci.git.objects import TreeItem
from ci.git.process import Permit, git_output
from ci.git.store import GitStore

MAX_FILES = 300
MAX_SIZE = 1_000_000  # bytes of a file whose content is compared
MAX_LINES = 20_000  # of all files together
MAX_WIDTH = 2_000  # characters of a line
SECONDS = 10.0  # after which no further file is compared: some files are made to take long
_LOOKED_AT = 8_000  # bytes in which a NUL makes a file binary: as git has it
_PERMIT = Permit(seconds=10.0, cpu=10)
_OPTIONS = (
    *("--no-ext-diff", "--no-textconv", "--no-color", "--no-color-moved", "--text"),
    *("--diff-algorithm=myers", "--inter-hunk-context=0", "--full-index"),
)
_LINK, _SUBMODULE = 0o120000, 0o160000


@dataclass(frozen=True, slots=True)
class Change:
    """A file that is not the same: its blobs before and after (empty: no file) and their modes."""

    path: str
    old: str
    new: str
    old_mode: int = 0
    new_mode: int = 0

    @property
    def kind(self) -> str:
        """One of ``added``, ``removed`` and ``changed``."""
        if self.old and self.new:
            return "changed"
        return "added" if self.new else "removed"

    @property
    def shown(self) -> str:
        """The path as it may be printed."""
        return visible(self.path)


@dataclass(frozen=True, slots=True)
class DiffText:
    """The lines of a unified diff, from its first ``@@``, safe to be printed.

    ``added`` and ``removed`` count lines among them; ``note`` says what else there is to know, or
    why there are no lines; ``left_out`` counts lines that did not fit.
    """

    lines: tuple[str, ...] = ()
    note: str = ""
    left_out: int = 0

    @property
    def added(self) -> int:
        """Number of lines that are new."""
        return sum(line.startswith("+") for line in self.lines)

    @property
    def removed(self) -> int:
        """Number of lines that are gone."""
        return sum(line.startswith("-") for line in self.lines)


_TOO_MUCH = DiffText(note="not shown: there is too much before it")


@dataclass(frozen=True, slots=True)
class Diff:
    """The changes of a pull request, by path; ``left_out`` counts files that are not named."""

    files: tuple[tuple[Change, DiffText], ...]
    left_out: int = 0


def diff(store: GitStore, main: str, head: str) -> Diff:
    """What a branch changed since it left main.

    Raises ``EntryError``: a commit that is not there, more files than a tree may have.
    """
    base = next(iter(store.merge_bases(main, head)), main)
    found = changes(store, base, head)
    files: list[tuple[Change, DiffText]] = []
    left, until = MAX_LINES, time.monotonic() + SECONDS
    for change in found[:MAX_FILES]:
        text = _TOO_MUCH
        if left > 0 and time.monotonic() < until:
            text = unified(store, change, most=left)
        left -= len(text.lines)
        files.append((change, text))
    return Diff(tuple(files), max(0, len(found) - MAX_FILES))


def changes(store: GitStore, base: str, head: str) -> list[Change]:
    """The files that two commits do not have in common, by path; a renamed one counts twice."""
    before, after = store.tree(base), store.tree(head)
    return [_change(path, before.item(path), after.item(path)) for path in before.differs(after)]


def _change(path: str, old: TreeItem | None, new: TreeItem | None) -> Change:
    old, new = (None if item is None or item.is_folder else item for item in (old, new))
    return Change(
        path,
        old.id if old else "",
        new.id if new else "",
        old.mode if old else 0,
        new.mode if new else 0,
    )


def unified(
    store: GitStore, change: Change, *, context: int = 3, most: int = MAX_LINES
) -> DiffText:
    """What changed in one file, at most so many lines of it."""
    notes = _notes(change)
    if _SUBMODULE in (change.old_mode, change.new_mode):
        return DiffText(note="; ".join([*notes, "another repository: its content is not used"]))
    if change.old == change.new:
        return DiffText(note="; ".join(notes))
    try:
        lines = _lines(store, change, context)
    except EntryError as error:
        return DiffText(note="; ".join([*notes, error.message]))
    kept = tuple(visible(line) for line in islice(lines, most))
    return DiffText(kept, "; ".join(notes), sum(1 for _ in lines))


def _notes(change: Change) -> list[str]:
    notes = []
    if change.kind == "changed" and change.old_mode != change.new_mode:
        notes.append(f"mode {change.old_mode:o} became {change.new_mode:o}")
    elif change.new_mode == 0o100755:
        notes.append("executable")
    if _LINK in (change.old_mode, change.new_mode):
        notes.append("a symbolic link: its content is where it points to")
    return notes


def _lines(store: GitStore, change: Change, context: int) -> Iterator[str]:
    """Raises ``EntryError`` with the reason why there is nothing to be seen."""
    ids = [name for name in (change.old, change.new) if name]
    if (size := max(store.objects.sizes(ids).values())) > MAX_SIZE:
        raise EntryError(f"too large to be shown ({size} bytes)")
    contents = [store.objects.blob(name) for name in ids]
    if any(b"\0" in content[:_LOOKED_AT] for content in contents):
        raise EntryError("binary")
    if len(ids) == 1:
        return _whole(contents[0], "+" if change.new else "-")
    return _compared(store, ids, context)


def _whole(content: bytes, sign: str) -> Iterator[str]:
    """A file that is all new, or gone, as ``git diff`` has it."""
    lines = _split(content)
    if not lines:
        return
    span = f"1,{len(lines)}" if len(lines) > 1 else "1"
    yield f"@@ -0,0 +{span} @@" if sign == "+" else f"@@ -{span} +0,0 @@"
    for line in lines:
        yield sign + line
    if not content.endswith(b"\n"):
        yield "\\ No newline at end of file"


def _compared(store: GitStore, ids: Sequence[str], context: int) -> Iterator[str]:
    options = (*_OPTIONS, f"--unified={int(context)}", "--end-of-options")
    code, output = git_output(store.git_dir, "diff", *options, *ids, permit=_PERMIT)
    if code:
        raise EntryError("git cannot compare it")
    start = output.find(b"\n@@ ") + 1
    return iter(_split(output[start:]) if start else [])


def _split(content: bytes) -> list[str]:
    """Lines as git counts them: only a line feed ends one."""
    lines = content.decode("utf-8", "backslashreplace").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def visible(line: str) -> str:
    """A line in which nothing hides: escapes for what is not printable, cut if it is too long."""
    shown = "".join(c if c.isprintable() or c == "\t" else _escape(c) for c in line[:MAX_WIDTH])
    cut = len(line) - MAX_WIDTH
    return f"{shown} … and {cut} characters more" if cut > 0 else shown


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
