"""What a recipe would do when Spack imports it."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.software.recipe_code import code_at_import

HEAD = """
import os
import subprocess as sp
from os import environ, system
from spack.package import *
from spack.pkg.builtin.boost import Boost
"""
PLAIN = '''
"""A docstring."""
import re
_versions = {"1.0": {"Linux-x86_64": "a" * 64}}
_name = "-".join(sorted(["b", "a"]))

def targets(names):
    return [name.upper() for name in names]

class Helper:
    pass

class A(CMakePackage, CudaPackage):
    """What it is."""
    homepage = f"https://example.org/{_name}"
    is_linux = sys.platform.startswith("linux") if False else platform.system() == "Linux"
    executables = [r"^a$"]
    compilers = tuple(targets(["gcc"]))
    pattern = re.compile("x")
    here = os.path.join(os.path.dirname(__file__), environ.get("X", ""))
    size = lambda self: os.stat("/")

    version("1.0", sha256="a" * 64)
    for v, checksums in _versions.items():
        version(v, sha256=checksums["Linux-x86_64"])
    if _versions:
        depends_on("zlib")
    with when("+mpi"), default_args(type="build"):
        depends_on("mpi")
    variant("x", values=any_combination_of("a", "b"), default="a")
    map_std = lambda v: "11" if v == "17" else v
    depends_on("b" + map_std("17"))
    patch("https://example.org/a.patch", sha256="b" * 64)

    def patch(self):
        os.rename("a", "b")

    @run_after("install")
    @when("@1:")
    def check(self, count=1, *, where=os.sep):
        system("true")

    @property
    def libs(self):
        return find_libraries("x", root=self.prefix)

    @libs.setter
    def libs(self, value: Optional[str]) -> None:
        pass
'''


def found(source: str) -> list[tuple[int, str]]:
    return [(place.line, place.text) for place in code_at_import(ast.parse(source), "p.py")]


def test_directives_values_and_methods_are_no_code() -> None:
    assert found(HEAD + PLAIN) == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("os.system('true')", "os.system(…)"),
        ("system('true')", "system(…)"),
        ("sp.run(['true'])", "sp.run(…)"),
        ("x = [os.system][0]('true')", "a call of what is computed"),
        ("x = list(map(os.system, ['true']))", "os.system"),
        ("x = sorted(['true'], key=system)", "system"),
        ("x = f'{open(1)}'", "open(…)"),
        ("x = {k: eval(k) for k in 'a'}", "eval(…)"),
        ("x = getattr(os, 'sys' + 'tem')", "getattr(…)"),
        ("x = __builtins__", "__builtins__"),
        ("x = (lambda: 1)()", "a call of what is computed"),
        ("x = ''.__class__.__mro__", "__mro__"),
        ("x = ''.__getattribute__('join')", "a call of what is computed"),
        ("mkdirp('/tmp/x')", "mkdirp(…)"),
        ("which('git')('clone', 'x')", "a call of what is computed"),
        ("while True: pass", "a loop without an end that can be seen"),
        ("os.environ = {}", "setting os.environ"),
        ("assert os.remove('x')", "os.remove(…)"),
        ("with open('x') as f: pass", "open(…)"),
        ("for x in os.listdir('/'): pass", "os.listdir(…)"),
        ("class B(metaclass=print): pass", "metaclass= of a class"),
        ("def f(x=os.fork()): pass", "os.fork(…)"),
        ("def f(x: exec('1')): pass", "exec(…)"),
        ("def f() -> exec('1'): pass", "exec(…)"),
        ("@exec\ndef f(): pass", "exec"),
        ("try: pass\nexcept Exception: exec('1')", "exec(…)"),
        ("def f(): os.fork()\nf()", "os.fork(…)"),
        ("def f(): g()\ndef g(): exec('1')\nf()", "exec(…)"),
        ("f = lambda: os.fork()\nf()", "os.fork(…)"),
        ("def version(*a, **k): os.fork()\nversion('1')", "os.fork(…)"),
    ],
)
def test_what_acts_is_found(line: str, what: str) -> None:
    texts = [text for _, text in found(HEAD + line)]
    assert texts
    assert texts[0].startswith(what.removesuffix("(…)"))


def test_it_says_where_and_once_for_a_statement() -> None:
    source = (
        "class A(Package):\n    x = os.popen(open('x').read())\n    y = 1\n    exec(eval('1'))\n"
    )
    assert [line for line, _ in found("import os\n" + source)] == [3, 5]


@given(source=st.text(alphabet="def clas()[]{}:=.,'x\n \tlambdawithforin@_1", max_size=120))
def test_any_python_is_looked_through(source: str) -> None:
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    assert all(place.line for place in code_at_import(module, "p.py"))


def test_deep_and_long_expressions_take_no_recursion() -> None:
    deep = "x = " + "[" * 90 + "]" * 90 + "\ny = " + "+".join(["1"] * 900)
    assert found(deep + "\nz = a" + ".b" * 900) == []


EVIL = "def evil(f):\n    os.system('x')\n    return f\n"


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    import shutil as q\n    q.rmtree('x')\nf()",
        "o = os\no.system('id')",
        "for o in [os]:\n    o.system('x')",
        "a, b = os, 1",
        "(os if 1 else 2).system('x')",
        EVIL + "@evil\nclass A(Package):\n    pass",
        EVIL + "x = sorted([1], key=evil)",
        "x = list(filter(lambda a: os.system('x'), [1]))",
        "try:\n    1\nexcept os.system('id'):\n    pass",
        "class A:\n    def __init__(self):\n        os.system('x')\nA()",
        "os.environ['PATH'] = '/x'",
        "from . import evil",
        "version = lambda a: os.system('id')\nversion('1')",
    ],
)
def test_detours_are_code_too(text: str) -> None:
    assert code_at_import(ast.parse(HEAD + text), "p")
