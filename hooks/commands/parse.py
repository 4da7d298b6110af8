"""Commands in what people write: lines that begin with ``/``, outside of code and quotes.

``/tmp`` in prose is no command, nor is ``/usr/bin`` at the beginning of a line: a command is one
word of letters. A word that is nearly one of ours is a mistake, any other is left alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST = 5  # commands of one remark
LONGEST = 20_000  # characters of a remark that are looked at
_LINE = re.compile(r"/([A-Za-z]{1,20})((?:[ \t]+\S{1,100}){0,20})[ \t]*")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_LINE_END = re.compile(r"\r\n|\r|\n")
_SPAN = re.compile(r"`[^`]*`")
_HTML = re.compile(r"(?P<comment><!--)|^ {0,3}<(?P<tag>pre|script|style|textarea)(?=[\s>]|$)", re.I)
_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")

# word: what it takes (at least, at most), and what it does
COMMANDS: dict[str, tuple[int, int, str]] = {
    "validate": (0, 0, "validate this pull request again"),
    "plan": (0, 0, "plan again which images are reused and built, and what is deployed"),
    "build": (0, 20, "build the images of the commit that is named, for all sites or for these"),
    "cancel": (0, 0, "end the builds of this pull request"),
    "deploy": (1, 1, "deploy what this pull request brought to main to a site"),
    "rollback": (1, 2, "go back to the version before at a site, or to the commit that is named"),
    "help": (0, 0, "list the commands"),
}


@dataclass(frozen=True, slots=True)
class Command:
    """A command as it was written: its word and what follows."""

    name: str
    sites: tuple[str, ...] = ()
    commit: str = ""

    def __str__(self) -> str:
        words = (
            [*self.sites, self.commit] if self.name == "rollback" else [self.commit, *self.sites]
        )
        return " ".join([f"/{self.name}", *filter(None, words)])


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that was meant as a command; ``sentence`` says what is wrong with it."""

    text: str
    sentence: str

    def __str__(self) -> str:
        return self.text


def parse(text: str) -> list[Command | Mistake]:
    """The commands of a remark, in order. Never raises; takes time in proportion to the text."""
    found: list[Command | Mistake] = []
    for line in _prose(text[:LONGEST]):
        match = _LINE.fullmatch(line)
        read = _read(match[1], match[2].split()) if match else None
        if read is None:
            continue
        if len(found) == MOST:
            found[-1] = Mistake(str(found[-1]), f"at most {MOST} commands at a time")
            break
        found.append(read)
    return found


def _prose(text: str) -> Iterator[str]:
    """Lines outside of fenced code; quotes and indented code do not begin with ``/``.

    Lines end where they do in Markdown (https://spec.commonmark.org/0.31.2/#line-ending): other
    characters that break lines elsewhere travel unseen in what a person quotes. What HTML hides or
    shows as code is no prose either: nobody saw it.
    """
    fence = html = ""
    for line in _LINE_END.split(text):
        mark = None if html else _FENCE.match(line)
        if html:
            html = "" if html in line.lower() else html
        elif fence:
            closes = mark and mark[1].startswith(fence) and not line.strip(" `~")
            fence = "" if closes else fence
        elif mark:
            fence = mark[1]
        else:
            html = _hides(line)
            yield line.rstrip(" \t")


def _hides(line: str) -> str:
    """What ends the HTML that begins in this line, and hides those after it."""
    shown = _SPAN.sub("", line)
    found = _HTML.search(shown)
    if found is None:
        return ""
    end = "-->" if found["comment"] else f"</{found['tag'].lower()}>"
    return "" if end in shown[found.end() :].lower() else end


def _read(word: str, given: list[str]) -> Command | Mistake | None:
    name, text = word.lower(), _printable(" ".join([f"/{word}", *given]))[:200]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1, cutoff=0.75)
        return Mistake(text, f"there is no /{word}: did you mean /{near[0]}?") if near else None
    least, most, _ = COMMANDS[name]
    if not least <= len(given) <= most:
        return Mistake(text, f"write it as `{usage(name)}`")
    sites, commit = tuple(given), ""
    if name == "build" and given and _COMMIT.fullmatch(given[0]):
        sites, commit = tuple(given[1:]), given[0]
    if name == "rollback" and len(given) == 2:
        sites, commit = (given[0],), given[1]
        if not _COMMIT.fullmatch(commit):
            return Mistake(text, f"{commit!r} is not a commit (7 to 40 digits 0-9, a-f)")
    wrong = next((site for site in sites if not _SITE.fullmatch(site)), "")
    return Mistake(text, f"{wrong!r} cannot be a site") if wrong else Command(name, sites, commit)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


def usage(name: str) -> str:
    """How a command is written."""
    more = {"build": " [COMMIT] [SITE…]", "deploy": " SITE", "rollback": " SITE [COMMIT]"}
    return f"/{name}{more.get(name, '')}"


def help_text() -> str:
    """All commands, in a sentence each."""
    return "; ".join(f"{usage(name)}: {what}" for name, (_, _, what) in COMMANDS.items())
