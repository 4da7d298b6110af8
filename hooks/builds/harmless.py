"""What a stranger's build printed, made fit for a terminal."""

from __future__ import annotations


def harmless(text: str) -> str:
    """Text that a terminal only shows: control characters (escape sequences begin with one) become
    visible, and so do those that reorder what is read.
    """
    return "".join(c if c.isprintable() or c == "\t" else _visible(c) for c in text)


def _visible(character: str) -> str:
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}"  # Unicode's control pictures
