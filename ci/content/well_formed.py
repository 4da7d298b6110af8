"""Whether files that no reader reads are what their suffix says: Python, JSON, YAML.

Only the form counts: what is unusual (several YAML documents, tags, ``NaN``) is right here.
"""

from __future__ import annotations

import ast
import json
import re
import warnings

from ci.errors import EntryError

_LARGEST = 512 * 1024  # bytes; what is longer was made by a program
_TEMPLATE = re.compile(rb"\{%[-+ ]|\{\{")
_NEWER = re.compile(r"\s*(?:type\s+\w+|(?:async\s+)?def\s+\w+\[|class\s+\w+\[)")
_PYTHON_2 = ("Missing parentheses in call to", "leading zeros in decimal", "invalid hexadecimal")


class NewerPythonError(EntryError):
    """What cannot be read here, but may be right in a version of Python newer than ours."""


def check_python(data: bytes, path: str) -> None:
    """Raise ``EntryError`` (or ``NewerPythonError``) with the place if a file is not Python 3."""
    if len(data) > _LARGEST:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(data, path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except SyntaxError as error:
        if not _TEMPLATE.search(data):
            raise _syntax_error(error, path) from None
    except (ValueError, RecursionError, MemoryError, OverflowError):
        raise EntryError("not Python: nested too deeply, or with NUL bytes", path=path) from None


def check_json(data: bytes, path: str) -> None:
    """Raise ``EntryError`` with the place if a file is not JSON."""
    try:
        json.loads(data.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        if not _TEMPLATE.search(data):
            message = f"not JSON: {error.msg[0].lower()}{error.msg[1:]}"
            raise EntryError(message, path=path, line=error.lineno, column=error.colno) from None
    except UnicodeDecodeError:
        return  # another rule's finding
    except ValueError:
        raise EntryError("not JSON: a number is too large to be read", path=path) from None
    except RecursionError:
        raise EntryError("not JSON: nested too deeply", path=path) from None


def check_yaml(data: bytes, path: str) -> None:
    """Raise ``EntryError`` with the place if a file is not YAML."""
    import yaml

    from ci.yaml_reader import too_many_directives

    if len(data) > _LARGEST or _TEMPLATE.search(data):
        return
    text = data.decode("utf-8-sig", "replace")
    if too_many_directives(text):
        return  # not written by anybody
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for _ in yaml.parse(text, Loader=loader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        what = error.problem or error.context or "cannot be parsed"
        raise EntryError(f"not YAML: {what}", path=path, line=line, column=column) from None
    except (yaml.YAMLError, RecursionError):
        return  # characters that YAML does not allow, which is another rule's finding


def _syntax_error(error: SyntaxError, path: str) -> EntryError:
    line, column = error.lineno or 0, max(error.offset or 0, 0)
    message = f"not Python: {error.msg}"
    newer = error.msg.startswith(("f-string", "multiple exception types"))
    if newer or _NEWER.match((error.text or "")[:200]):
        hint = "right if it is of a version newer than 3.11"
        return NewerPythonError(message, path=path, line=line, column=column, hint=hint)
    old = error.msg.startswith(_PYTHON_2)
    hint = "this is Python 2, which ended in 2020; `2to3 -w` converts it" if old else ""
    return EntryError(message, path=path, line=line, column=column, hint=hint)
