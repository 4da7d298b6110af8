"""The layout is the architecture: imports flow hooks → builder → ci and never back."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ALLOWED = {"ci": {"ci"}, "builder": {"ci", "builder"}, "hooks": {"ci", "builder", "hooks"}}
OURS = set(ALLOWED) | {"tests"}
MODULES = [p.relative_to(ROOT) for layer in ALLOWED for p in sorted((ROOT / layer).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names.add(node.module)
    return names


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_only_flow_down(module: Path) -> None:
    tops = {name.split(".")[0] for name in imported(ROOT / module)}
    assert tops & OURS <= ALLOWED[module.parts[0]]


def test_only_the_engine_package_knows_its_library() -> None:
    users = {m for m in MODULES if any(n.split(".")[0] == "dbos" for n in imported(ROOT / m))}
    assert users == {Path("hooks/engine/durable.py")}


def test_only_wiring_and_its_callers_name_concrete_parts() -> None:
    """Sub-packages of hooks meet through seams: concrete classes come together in wiring."""
    wiring = {m for m in MODULES if "hooks.wiring" in imported(ROOT / m)}
    assert all(m.parts[1] in {"cli", "demo"} for m in wiring), wiring


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_modules_and_functions_stay_small(module: Path) -> None:
    text = (ROOT / module).read_text(encoding="utf-8")
    assert text.count("\n") <= 300, f"{module} has more than 300 lines: give it two rooms"
    if "migrations" in module.parts:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 40, f"{module}:{node.lineno} {node.name} has {length} lines"
