"""From a list of arguments to one line of shell: the only place that does it.

An SSH server hands the command line to the login's shell, so a list has to become a line. What no
shell can carry safely is refused: NUL ends a C string, and a line break ends a command in some
shells even between quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ci.errors import EntryError

_PLAIN = re.compile(r"[A-Za-z0-9_./:,@+-]+")
_LINE_BREAKS = ("\0", "\n", "\r")


def quote(word: str) -> str:
    """Return ``word`` so that a POSIX shell reads it as one word and nothing else."""
    if _PLAIN.fullmatch(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"


def checked(argv: Sequence[str]) -> tuple[str, ...]:
    """Return the arguments if a site can be given them; raise ``EntryError`` if not."""
    if not argv or not argv[0]:
        raise EntryError("a command needs at least the name of a program")
    for word in argv:
        if any(mark in word for mark in _LINE_BREAKS):
            raise EntryError(
                f"the argument {word!r} holds a line break or NUL",
                hint="a command for a site must be plain text on one line",
            )
        try:
            word.encode("utf-8")
        except UnicodeEncodeError:
            raise EntryError(f"the argument {word!r} is not valid Unicode") from None
    return tuple(argv)


def command_line(argv: Sequence[str]) -> str:
    """Return the line that makes a POSIX shell run exactly these arguments.

    The program's name is always quoted, so that it is never read as an alias, a reserved word or
    an assignment. Raises ``EntryError`` for what cannot be quoted.
    """
    program, *rest = checked(argv)
    first = "'" + program.replace("'", "'\"'\"'") + "'"
    return " ".join([first, *map(quote, rest)])
