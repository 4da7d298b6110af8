"""Markdown that goes to GitHub: nobody is called by it, no issue is named, and it is not too long.

Whoever writes the text has made what strangers gave harmless already (``ci.markdown``); this is
what GitHub does besides Markdown: it links ``@name``, ``#12``, ``GH-12`` and ``owner/name@commit``
wherever they stand outside code, and tells those who are concerned.
https://docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls
"""

from __future__ import annotations

import re

from ci.markdown import escaped

MARKER = "<!-- hpcwaas -->"
LONGEST = 65_000  # bytes; GitHub takes 65,536 characters in a comment, 65,535 in a check run
_NOTHING = "<!-- -->"  # an empty comment: shown as nothing, and no name goes across it
_CUT = "\n\n… and more, which GitHub has no room for."
_LEFT_ALONE = re.compile(
    r"""
    \\[\\`]                      # an escaped character begins no code
  | (?P<code>`[^`\n]*`)          # code on one line
  | (?P<link>\]\(https?://[^()\s]*\))  # where a link of ours leads
  | (?P<called>@(?=\w)|\#(?=\d)|\bGH-(?=\d))
    """,
    re.VERBOSE | re.IGNORECASE,
)
_FENCE = re.compile(r"^(`{3,}|~{3,})", re.MULTILINE)


def defused(text: str) -> str:
    """The text with nothing in it that GitHub makes a link or a message of, nor our marker."""
    shown = re.sub(r"<!--\s*hpcwaas", "&lt;!-- hpcwaas", text, flags=re.IGNORECASE)
    return _LEFT_ALONE.sub(_broken, shown)


def _broken(found: re.Match[str]) -> str:
    return f"{found[0]}{_NOTHING}" if found["called"] else found[0]


def cut(text: str, longest: int = LONGEST) -> str:
    """At most so many bytes, ended after a whole line, with code and folds closed."""
    if len(text.encode("utf-8", "replace")) <= longest:
        return text
    room = longest - len(_CUT.encode())
    kept = _lines(text, room - 100)  # for what closes it
    while len(f"{kept}{_closing(kept)}".encode("utf-8", "replace")) > room and kept:
        kept = _lines(kept, len(kept.encode("utf-8", "replace")) // 2)  # a fence beyond measure
    return f"{kept}{_closing(kept)}{_CUT}"


def _lines(text: str, most: int) -> str:
    """The beginning of a text, of at most so many bytes: whole lines if they are not too long."""
    kept = text.encode("utf-8", "replace")[: max(most, 0)].decode("utf-8", "ignore")
    whole, line_end, _ = kept.rpartition("\n")
    return whole if line_end and len(whole) > len(kept) // 2 else kept


def _closing(text: str) -> str:
    """What closes code and folds that are open at the end."""
    opened = ""
    for fence in _FENCE.findall(text):
        if not opened:
            opened = fence
        elif fence.startswith(opened):
            opened = ""
    folds = text.count("<details>") - text.count("</details>")
    return (f"\n{opened}" if opened else "") + "\n</details>" * min(max(folds, 0), 5)


def body(text: str) -> str:
    """A comment of ours: with the marker, harmless, and short enough."""
    return f"{MARKER}\n{cut(defused(text), LONGEST - len(MARKER) - 1)}"


def prose(text: str) -> str:
    """One line that somebody else wrote, as Markdown that shows it."""
    return defused(escaped(text))


def line(text: str, longest: int) -> str:
    """One line of plain text of at most so many characters."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
