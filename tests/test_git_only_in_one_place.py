"""Repositories hold what strangers wrote: ``ci/git`` alone runs git, with all that this takes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOME = Path("ci/git")
LIBRARIES = {"git", "gitdb", "dulwich", "pygit2"}
PROGRAM = re.compile(r"(\S*/)?git(-[a-z-]+)?(\s.*)?", re.DOTALL)
STARTERS = re.compile(
    r"which|run|p?open|system|(check_)?(call|output)|exec\w*|(posix_)?spawn\w*"
    r"|create_subprocess_\w+|get(status)?output",
    re.IGNORECASE,
)
ALLOWED = {
    "hooks/forges/bare_git.py": "makes a repository of our own out of our own seed",
    "hooks/demo/developer.py": "the demo plays a person at a computer, with a clone of our seed",
}


def text(node: ast.AST | None) -> str:
    """The text that an expression begins with, if it is one."""
    if isinstance(node, ast.JoinedStr):
        return text(node.values[0]) if node.values else ""
    if isinstance(node, ast.BinOp):
        return text(node.left)
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else ""


def starts_git(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.split(".")[0] in LIBRARIES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").split(".")[0] in LIBRARIES
    if isinstance(node, ast.List | ast.Tuple) and node.elts:
        # an argument list, or one for a shell: ["sh", "-c", "git …"]
        shell = any(text(item) == "-c" for item in node.elts)
        return any(PROGRAM.fullmatch(text(item)) for item in node.elts[: None if shell else 1])
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        first = [*node.args[:1], *(k.value for k in node.keywords if k.arg in {"args", "cmd"})]
        return bool(STARTERS.fullmatch(name)) and any(PROGRAM.fullmatch(text(a)) for a in first)
    return False


def found(source: str) -> Iterator[int]:
    for node in ast.walk(ast.parse(source)):
        if starts_git(node):
            yield getattr(node, "lineno", 0)


MODULES = [
    path.relative_to(ROOT)
    for layer in ("ci", "builder", "hooks")
    for path in sorted((ROOT / layer).rglob("*.py"))
]


def test_git_runs_in_one_place_only() -> None:
    places = {
        str(module): list(found((ROOT / module).read_text(encoding="utf-8")))
        for module in MODULES
        if HOME not in module.parents
    }
    running = {module: lines for module, lines in places.items() if lines}
    unknown = {module: lines for module, lines in running.items() if module not in ALLOWED}
    assert not unknown, f"git runs outside {HOME}: use what is there, or add to it: {unknown}"
    needless = set(ALLOWED) - set(running)
    assert not needless, f"take these out of the list of exceptions: {needless}"


@pytest.mark.parametrize("name", [p for p in MODULES if HOME in p.parents], ids=str)
def test_even_there_git_is_started_by_one_module(name: Path) -> None:
    tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
    starts = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("subprocess", "Popen"), ("subprocess", "run")}
    ]
    assert not starts or name.name in {"process.py", "serving.py"}


@pytest.mark.parametrize(
    "source",
    [
        "import git",
        "import git.exc as x",
        "from git import Repo",
        "def f():\n    from dulwich.repo import Repo",
        "run(['git', 'status'])",
        "command = ['/usr/bin/git', f'--git-dir={x}']",
        "command = ('git-upload-pack', folder)",
        "words = ['git', *arguments]",
        "subprocess.run('git status', shell=True)",
        "subprocess.run(f'git -C {folder} log', shell=True)",
        "run(['sh', '-c', 'git log ' + x])",
        "shutil.which('git')",
        "os.execvp('git', words)",
        "os.system('git gc')",
        "subprocess.Popen(args='git')",
        "asyncio.create_subprocess_exec('git', 'log')",
    ],
)
def test_git_is_recognised(source: str) -> None:
    assert list(found(source))


@pytest.mark.parametrize(
    "source",
    [
        "from ci.git.store import GitStore",
        "import gitignore",
        "accept(name, 'git', event)",
        "kinds = ('github', 'git')",
        "packages = {'git', 'make'}",
        "raise EntryError('x', hint='git push origin main')",
        "PROGRAMS = ('gcc', 'git', 'make')",
        "run(['github', 'x'])",
    ],
)
def test_other_things_are_not_git(source: str) -> None:
    assert not list(found(source))
