"""Rules on a step's code: what it refers to outside itself."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterator

from ci.content.python_source import parse_python
from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.registry import Step
from ci.rules.base import StepRule
from ci.software.catalog import Catalog

_LARGEST = 1024 * 1024  # bytes of a file that is looked at


class UnknownInvocation(StepRule):
    """``@software(config_file=…)`` names an invocation that exists.

    Either one of the Software Catalogue (``SW_CATALOG + "/kratos/fom.json"``, a package and a file
    of it) or a file of the step. Otherwise the task fails when it is called for the first time,
    after the queue and the stage-in. A path that is put together while the program runs is not
    judged.
    """

    id = "code/unknown-invocation"

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look every name up, where the catalogue is known."""
        catalog = self.context.catalog
        for name in sorted(subject.names) if catalog is not None else ():
            if name.endswith(".py"):
                for expression in _config_files(self._source(subject, name)):
                    place = Located(None, f"{subject.path}/{name}", expression.lineno)
                    yield from self._unknown(expression, place, subject, catalog)

    def _source(self, step: Step, name: str) -> bytes:
        path = f"{step.path}/{name}"
        entry = self.context.registry.tree.find(path)
        small = entry is not None and entry.size <= _LARGEST
        return self.context.registry.read(path) if small else b""

    def _unknown(
        self, expression: ast.expr, place: Located, step: Step, catalog: Catalog | None
    ) -> Iterator[Finding]:
        path = _literal_end(expression)
        folder, file = posixpath.split(path)
        package = posixpath.basename(folder)
        if not file.endswith(".json") or "?" in file or catalog is None or _is_in_step(path, step):
            return
        if "?" in package or (path != file and not package):
            return  # put together while it runs
        place = Located(None, place.path, place.line, expression.col_offset + 1)
        if package in catalog.packages:
            known = [posixpath.basename(p) for p in catalog.packages[package].invocation_files]
            if file not in known:
                message = f"package {package} of the Software Catalogue has no invocation {file!r}"
                yield self.at(place, message, nearest(file, known))
        elif "?" not in path:
            message = f"neither the step nor the Software Catalogue has {path!r}"
            yield self.at(place, message, "a path in the step, or <catalogue>/<package>/<file>")
        else:
            message = f"the Software Catalogue has no package {package!r}"
            hint = nearest(package, catalog.packages)
            yield self.at(place, message, hint, Severity.WARNING)


def _config_files(source: bytes) -> Iterator[ast.expr]:
    """The ``config_file`` of every ``@software`` of a module that can be parsed."""
    if b"software" not in source:
        return
    try:
        module = parse_python(source, "")
    except EntryError:
        return  # another rule's finding
    for node in ast.walk(module):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and _name_of(call.func) == "software":
                    named = [k.value for k in call.keywords if k.arg == "config_file"]
                    yield from named or call.args[:1]


def _literal_end(expression: ast.expr) -> str:
    """The text that a path ends in, as far as it is written out: ``ROOT + "/a/b"`` has ``/a/b``.

    What is not written out becomes ``?``, so that nothing is told of a name that holds it.
    """
    if isinstance(expression, ast.Constant):
        return expression.value if isinstance(expression.value, str) else "?"
    if isinstance(expression, ast.BinOp) and isinstance(expression.op, (ast.Add, ast.Div)):
        parts = [expression.left, expression.right]
        slash = "/" if isinstance(expression.op, ast.Div) else ""
        return slash.join(_literal_end(part) for part in parts)
    if isinstance(expression, ast.JoinedStr):
        return "".join(_literal_end(part) for part in expression.values)
    if isinstance(expression, ast.Call) and _name_of(expression.func) in {"join", "Path", "str"}:
        return "/".join(_literal_end(argument) for argument in expression.args)
    return "?"


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _is_in_step(path: str, step: Step) -> bool:
    end = posixpath.normpath(path.lstrip("?")).lstrip("/").removeprefix(f"{step.name}/")
    return any(name == end or name.endswith(f"/{end}") for name in step.names)


RULES = (UnknownInvocation,)
