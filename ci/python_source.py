"""Python files of a registry, parsed and never run: recipes and easyconfigs."""

from __future__ import annotations

import ast
import warnings

from ci.documents import decode
from ci.errors import EntryError

MAX_SOURCE = 512 * 1024  # bytes; nesting is bounded by Python's own parser


def parse_python(data: bytes, path: str) -> ast.Module:
    """The syntax tree of a file. Raises ``EntryError`` with the place."""
    if len(data) > MAX_SOURCE:
        raise EntryError(f"larger than {MAX_SOURCE} bytes", path=path)
    text = decode(data, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes, which is for its author
            return ast.parse(text)
    except SyntaxError as error:
        line, column = error.lineno or 0, error.offset or 0
        message = f"not Python: {error.msg}"
        raise EntryError(message, path=path, line=line, column=column) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise EntryError(f"not Python: {error or 'nested too deeply'}", path=path) from None


def literal(node: ast.expr | None) -> object:
    """The value of a constant (text, number, true/false); None for everything else."""
    return node.value if isinstance(node, ast.Constant) else None


def called_name(node: ast.expr) -> str:
    """The name of a plain call, such as ``version`` in ``version("1.0")``."""
    inside = node.func if isinstance(node, ast.Call) else None
    return inside.id if isinstance(inside, ast.Name) else ""
