"""Names of files and folders: which of them mean something else on some system or to git."""

from __future__ import annotations

import re
import unicodedata

_BAD_CHARACTERS = frozenset('\\:*?"<>|$`')
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.DOTALL)
# what HFS+ leaves out of names, as in git's utf8.c (next_hfs_char)
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_LONGEST = 200  # bytes; most file systems end at 255, and tools append to names
_LATIN = re.compile(r"[a-z]", re.IGNORECASE | re.ASCII)
# letters of other scripts that look like a Latin one. Of Greek only these: Δx, μm and α are used
_TWINS = re.compile(
    "[\u0391\u0392\u0395-\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u0400-\u052f]"
)
_WORD = re.compile(r"[^\W_]+")


def unportable(name: str) -> str:
    """Why a name does not work everywhere; empty if it does."""
    bad = _BAD_CHARACTERS & set(name)
    reasons = {
        "stands for a folder": name in {"", ".", ".."},
        "has a control character, or one that is not shown": not name.isprintable(),
        f"has the character {min(bad, default='')!r}": bool(bad),
        "begins with a dash, tilde or blank": name.startswith(("-", " ", "~")),
        "ends in a blank or dot": name.endswith((" ", ".")),
        "is a device on Windows, where nobody could clone it": bool(
            _DEVICE.fullmatch(name.lower())
        ),
        f"is longer than {_LONGEST} bytes": len(name.encode("utf-8", "replace")) > _LONGEST,
        "is not in Unicode's normal form C": not unicodedata.is_normalized("NFC", name),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def is_git_folder(name: str) -> bool:
    """Whether git, on some system, takes a folder of this name for its own.

    That is ``.git`` as Windows reads names (any case, blanks and dots at the end, ``git~1``, a
    stream after a colon) and as macOS does (characters that are not shown left out). Source: git's
    ``is_ntfs_dotgit`` and ``is_hfs_dotgit``.
    """
    plain = _IGNORED.sub("", name).casefold()
    plain = plain.split(":", 1)[0].split("\\", 1)[0].rstrip(" .")
    return plain in {".git", "git~1"}


def folded(name: str) -> str:
    """The same for names that some file system, or a reader, cannot tell apart."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def mixed_word(text: str) -> str:
    """The first word that mixes Latin letters with ones that only look so; empty if none does."""
    if text.isascii() or not _TWINS.search(text):
        return ""
    for word in _WORD.findall(text):
        if _LATIN.search(word) and _TWINS.search(word):
            return str(word)
    return ""


def shown(word: str) -> str:
    """A word with what it mixes spelled out: ``p[CYRILLIC SMALL LETTER A]th``."""
    return "".join(
        f"[{unicodedata.name(letter, '?')}]" if _TWINS.match(letter) else letter
        for letter in word[:40]
    )
