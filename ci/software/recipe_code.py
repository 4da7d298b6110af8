"""What of a recipe would run as soon as Spack reads it, beside making values and directives.

Spack imports every recipe of a repository to look at one of them, on whatever machine somebody
asks it something. This look is a screen against accidents and plain tricks; what protects the
service is that recipes are only ever imported inside the build container.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from ci.content.python_source import at, dotted, imported_names, names_bound
from ci.located import Located
from ci.software.recipe_names import (
    ACTING,
    ACTING_BUILTINS,
    BASES,
    BUILTINS,
    DIRECTIVES,
    HARMLESS,
    HELPERS,
)

_MAKES_VALUES = DIRECTIVES | HELPERS | BUILTINS | BASES
_PLAIN_DUNDERS = frozenset({"__name__", "__doc__", "__file__", "__version__", "__class__"})
_READ_ONLY = ("os.environ", "os.name", "os.sep", "os.pathsep", "os.linesep", "os.curdir", "os.path")
_ASKS_SYS = ("sys.platform", "sys.version", "sys.maxsize", "sys.byteorder", "sys.executable")
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_IMPORTS = (ast.Import, ast.ImportFrom)
_ACTING_MODULES = frozenset(name.removesuffix(".") for name in ACTING)


def code_at_import(module: ast.Module, path: str) -> tuple[Located, ...]:
    """Where a recipe does something when it is imported, with what it does as text."""
    screen = _Screen(module, path)
    return tuple(screen.statements(module.body)) + tuple(screen.called())


class _Screen:
    """Walks over what runs at import: bodies of functions only if they are called there."""

    def __init__(self, module: ast.Module, path: str) -> None:
        self.path = path
        self.imports = imported_names([n for n in ast.walk(module) if isinstance(n, _IMPORTS)])
        self.functions: dict[str, list[list[ast.stmt]]] = {}
        self.classes: set[str] = set()
        self.top = {name for node in module.body for name in _defined_by(node)}
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef):
                self.classes.add(node.name)
            elif isinstance(node, _Function):
                self.functions.setdefault(node.name, []).append(node.body)
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
                body = ast.copy_location(ast.Expr(node.value.body), node)
                for name in names_bound(node.targets[0]):
                    self.functions.setdefault(name, []).append([body])
        self._defined: list[set[str]] = [set()]  # functions so far, of each open class
        self._waiting: list[str] = []
        self._done: set[str] = set()

    def called(self) -> Iterator[Located]:
        """The bodies of functions of this file that are called at import."""
        while self._waiting:
            name = self._waiting.pop()
            if name not in self._done:
                self._done.add(name)
                for body in self.functions.get(name, ()):
                    yield from self.statements(body)

    def statements(self, body: list[ast.stmt]) -> Iterator[Located]:
        """Each statement of a body, and what is inside it; at most one place of each."""
        for statement in body:
            if isinstance(statement, (ast.While, ast.AsyncFor, ast.AsyncWith, ast.Match)):
                yield at(statement, self.path, "a loop without an end that can be seen")
                continue
            found = next(self.expressions(_own_expressions(statement)), None)
            found = found or next(self.targets(statement), None)
            if found is not None:
                yield found
            if isinstance(statement, _Function):
                self._defined[-1].add(statement.name)
            else:
                yield from self.inside(statement)

    def inside(self, statement: ast.stmt) -> Iterator[Located]:
        """The statements that a class, a loop or another block holds."""
        if isinstance(statement, ast.ClassDef):
            self._defined.append(set())
        for name in ("body", "orelse", "finalbody"):
            yield from self.statements(getattr(statement, name, []))
        for handler in getattr(statement, "handlers", ()):
            yield from self.expressions([handler.type] if handler.type else [])
            yield from self.statements(handler.body)
        if isinstance(statement, ast.ClassDef):
            self._defined.pop()

    def targets(self, statement: ast.stmt) -> Iterator[Located]:
        """Assignments to attributes change what is not the recipe's; so do class keywords."""
        if isinstance(statement, ast.ClassDef):
            for keyword in statement.keywords:
                if not self.full(dotted(keyword.value)).startswith("spack."):
                    yield at(keyword, self.path, f"{keyword.arg or '**'}= of a class")
        targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
        for target in targets:
            changed = target.value if isinstance(target, ast.Subscript) else target
            if isinstance(changed, ast.Attribute):
                name = dotted(changed)
                if not name or name.split(".")[0] in self.imports:
                    yield at(target, self.path, f"setting {name or changed.attr}")
        if isinstance(statement, ast.ImportFrom) and statement.level:
            yield at(statement, self.path, "an import of files beside it")

    def expressions(self, nodes: list[ast.expr]) -> Iterator[Located]:
        """What in these expressions acts; never recursive."""
        waiting: list[ast.AST] = list(reversed(nodes))
        while waiting:
            node = waiting.pop()
            what = ""
            inner: list[ast.AST] = list(ast.iter_child_nodes(node))
            if isinstance(node, ast.Lambda):
                inner = [node.args]
            elif isinstance(node, ast.Call):
                what = self.call(node.func)
                inner = [*node.args, *(keyword.value for keyword in node.keywords)]
                inner += [given.body for given in inner if isinstance(given, ast.Lambda)]
                if isinstance(node.func, ast.Attribute) and not dotted(node.func):
                    inner.append(node.func.value)
            elif isinstance(node, (ast.Name, ast.Attribute)):
                what = self.mention(node)
                inner = [] if dotted(node) else inner
            if what:
                yield at(node, self.path, what)
            waiting += [n for n in reversed(inner) if not isinstance(n, ast.expr_context)]

    def call(self, function: ast.expr) -> str:
        """What is wrong with calling this, or nothing."""
        name = dotted(function)
        replaced = name in DIRECTIVES and any(name in names for names in self._defined)
        if not name:
            known = isinstance(function, ast.Attribute) and not _is_dunder(function.attr)
            return "" if known else "a call of what is computed"
        full = self.full(name)
        root = name.split(".")[0]
        if root not in self.imports and "." in name:
            return "" if not _is_dunder(name.rsplit(".", 1)[1]) else f"{name}(…)"
        own = name in self.functions and (name in self.top or name not in DIRECTIVES)
        if full == name and (replaced or own):
            self._waiting.append(name)
            return ""
        if name in self.classes:  # what makes an object of it
            self._waiting += [method for method in self.functions if method.startswith("__")]
        fine = name in _MAKES_VALUES or name in self.classes
        if root in self.imports:
            fine = _begins(full, (*HARMLESS, *_ASKS_SYS))
        return "" if fine else f"{name}(…)"

    def mention(self, node: ast.Name | ast.Attribute) -> str:
        """What is wrong with naming this without calling it, or nothing."""
        if isinstance(node, ast.Attribute) and _is_dunder(node.attr):
            return node.attr
        name = dotted(node)
        if name in ACTING_BUILTINS and name not in self.imports:
            return name
        is_read = isinstance(node.ctx, ast.Load)
        if is_read and name in self.functions and name not in DIRECTIVES:  # somebody may call it
            self._waiting.append(name)
        full = self.full(name) if name.split(".")[0] in self.imports else ""
        if full in _ACTING_MODULES:
            return f"{name} as a value"
        if "." not in full or _begins(full, (*HARMLESS, *_READ_ONLY, *_ASKS_SYS)):
            return ""
        return name if _begins(full, ACTING) else ""

    def full(self, name: str) -> str:
        """The name with what its first part was imported as."""
        root, dot, rest = name.partition(".")
        return self.imports.get(root, root) + dot + rest


def _defined_by(node: ast.stmt) -> list[str]:
    """The functions that a statement at the top of a file defines."""
    if isinstance(node, ast.Assign):
        return [name for target in node.targets for name in names_bound(target)]
    return [node.name] if isinstance(node, _Function) else []


def _own_expressions(statement: ast.stmt) -> list[ast.expr]:
    """The expressions of a statement that run with it, without those of statements inside."""
    if isinstance(statement, _Function):
        given = statement.args
        every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
        notes = [each.annotation for each in every if each is not None]
        wanted = [*statement.decorator_list, *given.defaults, *given.kw_defaults, *notes]
        return [each for each in [*wanted, statement.returns] if each is not None]
    found: list[ast.expr] = []
    for node in ast.iter_child_nodes(statement):
        if isinstance(node, ast.expr):
            found.append(node)
        elif isinstance(node, ast.withitem):
            found.append(node.context_expr)
    return found


def _begins(name: str, known: tuple[str, ...]) -> bool:
    return any(name.startswith(each) if each[-1] == "." else name == each for each in known) or (
        any(name.startswith(f"{each}.") for each in known if each[-1] != ".")
    )


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in _PLAIN_DUNDERS
