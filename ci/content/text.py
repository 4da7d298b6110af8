"""What stands in a text that people cannot see, or that means something on one machine only."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ci.content.binaries import is_documentation, suffix
from ci.registry import ENVIRONMENT_FILES, NO_WORKFLOWS, TOPOLOGY_FOLDERS

_CODE_SUFFIXES = (
    "py sh bash slurm sbatch pbs yaml yml json toml cfg ini env jl r m lua pl c h cc cpp cxx hpp "
    "cu cuh f f90 f95 f03 f08 for eb mk cmake def j2 jinja nf smk"
)
_CODE = frozenset(_CODE_SUFFIXES.split())
_SHELL = frozenset(["sh", "bash", "slurm", "sbatch", "pbs"])
_MUST_BE_UTF8 = frozenset(["py", "sh", "bash", "yaml", "yml", "json", "ipynb"])
_SHOULD_BE_UTF8 = frozenset(["md", "txt", "rst"])
_BOM = b"\xef\xbb\xbf"

# https://trojansource.codes (CVE-2021-42574): what changes the direction of what follows
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
_CONTROL = "\x00-\x08\x0b\x0e-\x1f\x7f\x80-\x9f\u2028\u2029\ufff9-\ufffb"
_UNSEEN = "\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2064\u206a-\u206f\u3164\uffa0\ufeff"
# parts of emojis and of the scripts of some languages: right in prose, hidden in code
_JOINING = "\u00ad\u061c\u200c-\u200f\U000e0000-\U000e007f"
_HIDDEN_IN_PROSE = re.compile(f"[{_CONTROL}{_UNSEEN}]|\r(?!\n|$)")
_HIDDEN_IN_CODE = re.compile(f"[{_CONTROL}{_UNSEEN}{_JOINING}]|\r(?!\n|$)")
_ASCII_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\f\r"))

_USERS_PATHS = (b"/home/", b"Users", b"/gpfs/", b"/lustre/", b"/scratch/")
_ABSOLUTE = re.compile(
    r"(?<![\w.$}>)/~%-])(?:/(?:home|Users)/[A-Za-z0-9][\w.-]{0,40}|"
    r"/(?:gpfs|lustre|scratch)(?:/[A-Za-z0-9][\w.-]{0,80}){1,20})"
    r"|(?<!\w)[A-Za-z]:\\{1,2}Users\\{1,2}[\w.-]{1,40}"
)
_ANYBODY = frozenset(["user", "username", "you", "your_user", "yourname", "me", "name", "xxx"])
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.ASCII)


def is_code(path: str, data: bytes) -> bool:
    """Whether a file is for programs to read: code, scripts, settings."""
    return suffix(path) in _CODE or data.startswith(b"#!") or path.endswith("requirements.txt")


def is_shell_script(path: str, data: bytes) -> bool:
    """Whether a file is a script of ``sh`` or ``bash``, by its first line, else by its name."""
    first = data[:200].removeprefix(_BOM).split(b"\n", 1)[0]
    if first.startswith(b"#!"):
        words = re.split(rb"[\s/]+", first[2:].strip())
        return any(word in {b"sh", b"bash", b"dash"} for word in words)
    return suffix(path) in _SHELL


def has_mark(data: bytes) -> bool:
    """Whether a file begins with a byte order mark."""
    return data.startswith(_BOM)


def ends_lines_with_cr(data: bytes) -> int:
    """The first line that ends as on Windows (CR LF), from 1; 0 if none does."""
    at = data.find(b"\r\n")
    return data.count(b"\n", 0, at) + 1 if at >= 0 else 0


def turned(text: str) -> Iterator[tuple[int, int, str]]:
    """Line, column and character of what changes the direction of text, once a line."""
    if not text.isascii():
        yield from _once_a_line(text, _DIRECTION)


def hidden(path: str, data: bytes, text: str) -> Iterator[tuple[int, int, str]]:
    """Line, column and character of what is not shown or controls a terminal, once a line."""
    plain = text.isascii() and len(data.translate(None, _ASCII_CONTROLS)) == len(data)
    if plain and data.count(b"\r") == data.count(b"\r\n"):
        return
    prose = is_documentation(path)
    pattern = _HIDDEN_IN_PROSE if prose else _HIDDEN_IN_CODE
    for line, column, character in _once_a_line(text, pattern):
        if (line, column, character) != (1, 1, "\ufeff"):
            yield line, column, character


def called(character: str) -> str:
    """A character that cannot be shown, as ``U+202E (RIGHT-TO-LEFT OVERRIDE)``."""
    name = unicodedata.name(character, "a control character")
    return f"U+{ord(character):04X} ({name})"


def must_be_utf8(path: str) -> bool:
    """Whether programs read a file and stop at bytes that are not UTF-8."""
    return suffix(path) in _MUST_BE_UTF8


def not_utf8(path: str, data: bytes) -> int:
    """Line of the first byte that is not UTF-8, or is NUL, in what must be text; 0: none."""
    if not must_be_utf8(path) and suffix(path) not in _SHOULD_BE_UTF8:
        return 0
    if b"\0" in data:
        return data.count(b"\n", 0, data.index(b"\0")) + 1 if must_be_utf8(path) else 0
    try:
        data.isascii() or data.decode("utf-8")
    except UnicodeDecodeError as error:
        return 0 if _declares_coding(path, data) else data.count(b"\n", 0, error.start) + 1
    return 0


def own_paths(path: str, data: bytes, text: str) -> Iterator[tuple[int, int, str]]:
    """Line, column and text of paths that exist on one machine or for one user, once a line."""
    if not any(start in data for start in _USERS_PATHS):
        return
    for number, line in enumerate(text.split("\n"), 1):
        if _is_comment(path, line) or not ("/" in line or "\\" in line):
            continue
        for found in _ABSOLUTE.finditer(line[:4000]):
            if re.split(r"[/\\]+", found[0])[-1].lower() not in _ANYBODY:
                yield number, found.start() + 1, found[0]
                break


def has_reader(path: str) -> bool:
    """Whether rules on workflows and packages read a file, and say what is wrong with it."""
    first, *folders, name = path.split("/") if "/" in path else ("", path)
    if not first:
        return name in {"validation.yaml", "policy.yaml", "repo.yaml"}
    if first in {"packages", "cfg"}:
        return _is_read_of_catalog(first, folders, name)
    if first in NO_WORKFLOWS or first.startswith("."):
        return False
    return _is_read_of_workflow(folders, name)


def _is_read_of_catalog(first: str, folders: list[str], name: str) -> bool:
    if first == "cfg":
        return not folders
    return len(folders) == 1 and (name == "package.py" or name.endswith((".eb", ".json")))


def _is_read_of_workflow(folders: list[str], name: str) -> bool:
    is_document = name.endswith((".yaml", ".yml"))
    if not folders:
        return name.startswith(("waas.", "topology.")) and is_document
    if folders[0] in TOPOLOGY_FOLDERS | {"data"}:
        return is_document
    return len(folders) == 1 and name in ENVIRONMENT_FILES


def _once_a_line(text: str, pattern: re.Pattern[str]) -> Iterator[tuple[int, int, str]]:
    line, start, last = 1, 0, 0
    for found in pattern.finditer(text):
        line += text.count("\n", start, found.start())
        start = found.start()
        if line != last:
            last = line
            yield line, start - text.rfind("\n", 0, start), found[0]


def _is_comment(path: str, line: str) -> bool:
    """Whether a line is a comment for people; ``#SBATCH`` and ``#!`` are not."""
    return line.lstrip().startswith(("# ", "// ")) or is_documentation(path)


def _declares_coding(path: str, data: bytes) -> bool:
    """Whether a Python file says that it is in another encoding, by PEP 263."""
    if suffix(path) != "py":
        return False
    found = next(filter(None, map(_CODING.match, data.split(b"\n", 2)[:2])), None)
    return found is not None and not found[1].lower().startswith(b"utf")
