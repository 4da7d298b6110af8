"""Shell scripts in which nothing can be wrong: told line by line, without starting a shell.

Most scripts of workflows are lists of plain commands, with an ``if`` or a loop. Whatever else there
is (here-documents, functions, ``case``, arrays) is left to bash, so a "no" means nothing.
"""

from __future__ import annotations

import re

# possessive (`++`), so that the time is linear
_VARIABLE = r"\$(?:\w++|[@*#?!$]|\{\w++(?::?[-+=?%#][\w./:%*+=@,-]*+)?\})"
_COMMAND = rf"\$\((?:[\w./:=@,+%~-]++|[ \t]++|{_VARIABLE}|\"(?:[^\"`$\\\n(]|{_VARIABLE})*+\")++\)"
_PIECE = (
    r"(?:[\w./:=@,+%~^\[\]*?-]++"
    rf"|\"(?:[^\"`$\\\n]|{_VARIABLE}|{_COMMAND}|\\[\"$\\n])*+\"|'[^'\n]*+'|{_VARIABLE}|{_COMMAND}"
    r"|[0-9]?>>?(?:&[0-9]|[ \t]*+[\w./$-]++))"
)
_WORDS = rf"(?:{_PIECE}[ \t]*+)++"
_LIST = rf"{_WORDS}(?:(?:&&|\|\|?|;(?![ \t]*(?:then|do)\b))[ \t]*+{_WORDS})*+"
_TEST = (
    rf"\[\[[ \t]++(?:-[a-z][ \t]++{_PIECE}++|{_PIECE}++[ \t]++[=!]=[ \t]++{_PIECE}++)[ \t]++\]\]"
)
_NOTE = r"[ \t]*+(?:(?<![^ \t])#.*+)?"


def _line(form: str) -> re.Pattern[str]:
    return re.compile(f"({form}){_NOTE}", re.ASCII)


_PLAIN = _line(rf"(?:{_LIST};?+)?")
_HEAD = rf"[ \t]++(?:![ \t]++)?(?:{_TEST}|(?!.*(?:\[\[|\]\])){_LIST})[ \t]*+;[ \t]*+"
# first word: the form of the line, what must be open before it, what is open after it
_BLOCKS: dict[str, tuple[re.Pattern[str], frozenset[str], str]] = {
    "if": (_line(rf"if{_HEAD}then"), frozenset(), "if"),
    "while": (_line(rf"while{_HEAD}do"), frozenset(), "loop"),
    "for": (
        _line(rf"for[ \t]++[A-Za-z_]\w*+[ \t]++in[ \t]++{_WORDS};[ \t]*+do"),
        frozenset(),
        "loop",
    ),
    "elif": (_line(rf"elif{_HEAD}then"), frozenset(["if"]), "if"),
    "else": (_line("else"), frozenset(["if"]), "else"),
    "fi": (_line("fi"), frozenset(["if", "else"]), ""),
    "done": (_line("done"), frozenset(["loop"]), ""),
}
_FIRST = re.compile(r"[a-z]+")
_RESERVED = re.compile(
    r"(?:^|[\s;&|(])(?:if|then|elif|else|fi|for|while|until|do|done|case|esac|in|select|function|time"
    r"|coproc|\[\[|\]\]|!)(?:[\s;&|)]|$)"
)
_OF_HEAD = re.compile(
    r"^for\b.*?\bin\b|^(?:if|elif|while|else)\b(?:[ \t]+!)?|\[\[|\]\]|;[ \t]*(?:then|do)[ \t]*$"
)


def is_plain(text: str) -> bool:
    """Whether a script has only simple commands, ``if`` and loops, and all of them end."""
    if re.search(r"#[^\n]*\\\n", text):
        return False  # a comment does not go on in the next line, whatever it ends in
    open_blocks: list[str] = []
    empty = False  # whether the innermost block has no command yet
    for raw in text.replace("\\\n", " ").split("\n"):
        line = raw.strip(" \t")
        if not line or line.startswith("#"):
            continue
        first = _FIRST.match(line)
        block = _BLOCKS.get(first[0]) if first else None
        if block is None:
            found = _PLAIN.fullmatch(line)
            if found is None or _RESERVED.search(found[1]):
                return False
            empty = False
        elif not _fits(line, block, open_blocks, empty=empty):
            return False
        else:
            empty = bool(block[2])
    return not open_blocks


def _fits(
    line: str,
    block: tuple[re.Pattern[str], frozenset[str], str],
    open_blocks: list[str],
    *,
    empty: bool,
) -> bool:
    """Whether a line that opens, turns or ends a block may stand here; changes what is open."""
    form, before, after = block
    found = form.fullmatch(line)
    if found is None or (after and _RESERVED.search(_OF_HEAD.sub(" x ", found[1]))):
        return False
    if before:
        if empty or not open_blocks or open_blocks[-1] not in before:
            return False
        open_blocks.pop()
    if after:
        open_blocks.append(after)
    return True
