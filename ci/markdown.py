"""Text of strangers in Markdown that other people read: shown as it is, and nothing more."""

from __future__ import annotations

import html


def printable(text: str) -> str:
    """Nothing that a terminal or a page obeys: control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def code(text: str) -> str:
    """Inline code, also in the cell of a table; nothing for nothing."""
    shown = printable(text).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else ""


def escaped(text: str) -> str:
    """Prose without markup, links, mentions, references to issues, or comments of HTML."""
    shown = html.escape(printable(text), quote=False)
    for character in "\\`*_[]|#~":
        shown = shown.replace(character, f"\\{character}")
    # an empty comment keeps "@name" from calling somebody and "://" from becoming a link
    return shown.replace("@", "@<!-- -->").replace("://", ":<!-- -->//")
