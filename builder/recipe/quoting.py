"""Scripts from templates. Every value is quoted, so that a shell sees it as one word.

Templates are shell scripts (``scripts/*.sh.j2``): a whole command, or a keyword such as ``then``
at its end, on each line, since some renderers join lines with ``;``. No line begins with a value.
"""

from __future__ import annotations

import json
import re
import shlex
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from ci.errors import EntryError

_BRACES = re.compile(r"(?<=\{)(?=\{)")


class Verbatim(str):
    """Text for a template that is quoted already."""

    __slots__ = ()


def quote(value: object) -> str:
    """Quote a value, or each of a sequence of values, for a POSIX shell.

    Two braces are kept apart, since Apptainer replaces ``{{ name }}`` in a definition
    (https://apptainer.org/docs/user/latest/definition_files.html, "templating").

    Raises:
        EntryError: the value has a control character, for which no name has a use.
    """
    if isinstance(value, Verbatim):
        return value
    if isinstance(value, list | tuple):
        return " ".join(quote(item) for item in value)
    quoted = shlex.quote(_one_line(str(value)))
    return _BRACES.sub("''", quoted)  # inside '…', where a brace always is: it ends and begins anew


def quote_exec(value: str) -> str:
    """Quote a value for JSON or a label, where BuildKit would expand ``$`` and Apptainer ``{{``.

    Raises:
        EntryError: it is no plain ASCII text.
    """
    text = _one_line(value)
    if not text.isascii() or set(text) & set("$\\") or "{{" in text:
        raise EntryError(f"{value!r} cannot stand in a recipe", hint="use letters and digits")
    return json.dumps(text)


def script(template: str, /, **values: object) -> tuple[str, ...]:
    """Return the lines of a script, without comments and empty lines.

    Raises:
        EntryError: a value has a control character.
    """
    text = _JINJA.get_template(f"{template}.sh.j2").render(values)
    lines = (line.rstrip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.lstrip().startswith("#"))


def settled(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return a script that also sets the times of the files that it makes or changes.

    They become SOURCE_DATE_EPOCH, so that two builds give the same layer. It costs a look at each
    file; BuildKit's ``rewrite-timestamp=true`` writes all layers anew, the base's too.
    """
    return (*script("times-begin"), *lines, *script("times-end"))


def program(name: str) -> tuple[str, ...]:
    r"""Return the lines of a Python program that a script runs, without docstring and empty lines.

    It is a value for ``script``: ``python3 -c "$(printf '%s\n' {{ program }})"``.
    """
    text = (resources.files("builder.recipe") / "scripts" / f"{name}.py").read_text("utf-8")
    body = text.partition('"""\n\nimport')[2]
    return tuple(line for line in f"import{body}".splitlines() if line)


def _one_line(text: str) -> str:
    """A line break would end an instruction."""
    if not text.isprintable():
        raise EntryError(f"a control character in {text!r}")
    return text


_JINJA = Environment(
    loader=PackageLoader("builder.recipe", "scripts"),
    undefined=StrictUndefined,
    finalize=quote,
    autoescape=False,  # noqa: S701 - this is shell text, which HTML escapes would corrupt
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
