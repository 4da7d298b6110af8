import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.software.package_recipe import class_name_of, read_package_recipe

RECIPE = '''
from spack.package import *

class Helper(object):
    pass

class PyDislib(PythonPackage):
    """Distributed."""
    homepage = "https://example.org"
    version("0.9.0", sha256="%s")
    version("main", branch="main")
    version("0.8.0", commit="abc")
    with when("@0.8:"):
        depends_on("compss")
        version("0.7.0")
    for v in ["1", "2"]:
        version(v, sha256="x")
''' % ("a" * 64)


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("compss", "Compss"),
        ("py-dislib", "PyDislib"),
        ("3proxy", "_3proxy"),
        ("r-a4-base", "RA4Base"),
        ("foo_bar--baz", "FooBarBaz"),
        ("OpenFOAM", "Openfoam"),
    ],
)
def test_the_class_is_named_as_spack_does(package: str, name: str) -> None:
    assert class_name_of(package) == name


def test_a_recipe_is_read_without_running_it() -> None:
    found = read_package_recipe(RECIPE.encode(), "packages/py-dislib/package.py")
    assert (found.class_name, found.place.line) == ("PyDislib", 7)
    assert [base.text for base in found.bases] == ["PythonPackage"]
    assert [(v.name, v.pinned, v.place.line) for v in found.versions] == [
        ("0.9.0", True, 10),
        ("main", False, 11),
        ("0.8.0", True, 12),
        ("0.7.0", False, 15),
    ]
    assert found.computed
    assert found.has_sources


MORE = """
import os
from spack.pkg.builtin.boost import Boost
from spack_repo.builtin.build_systems.cmake import CMakePackage

class Kratos(CMakePackage, CudaPackage):
    has_code = False
    if True:
        git = "https://example.org/x.git"
        version("1.0", "%s", preferred=True)
    version("2.0", **more)
    with default_args(type="build"):
        depends_on("cmake@3:")
        depends_on(f"py-{name}")
    extends("python")
    variant("mpi", default=True)
    provides("solver@1:")
    # FIXME: more

    def url_for_version(self, version):
        return version

class KratosBuilder(CMakeBuilder):
    pass
""" % ("a" * 32)


def test_what_rules_ask_for_is_there() -> None:
    found = read_package_recipe(MORE.encode(), "packages/kratos/package.py")
    assert found.class_name == "Kratos"
    assert [base.text for base in found.bases] == ["CMakePackage", "CudaPackage"]
    assert found.imports["Boost"] == "spack.pkg.builtin.boost.Boost"
    assert {"git", "has_code", "url_for_version", "variant", "provides"} <= found.set
    version = found.versions[0]
    assert version.choice
    assert version.pinned
    assert version.texts["checksum"].text == "a" * 32
    assert found.computed
    assert [spec.text for spec in found.dependencies] == ["cmake@3:", "python"]
    assert [spec.line for spec in found.dependencies] == [13, 15]
    assert (found.variants, found.provides) == (("mpi",), ("solver@1:",))
    assert not found.has_sources
    assert not found.inherits
    assert [place.line for place in found.fixmes] == [18]
    assert found.old_import is None
    assert found.at_import == ()


@pytest.mark.parametrize(
    ("line", "inherits"),
    [
        ("class A(Boost):", True),
        ("class A(builtin.Boost):", True),
        ("class A(Local):", True),
        ("class A(CMakePackage):", False),
        ("class A(Package):", False),
    ],
)
def test_other_recipes_bring_what_they_have(line: str, inherits: bool) -> None:
    source = f"{MORE}\nclass Local: pass\n{line}\n    pass\n"
    assert read_package_recipe(source.encode(), "packages/a/package.py").inherits is inherits


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "no package class"),
        ("class A(:", "not Python"),
        ("x" * 600_000, "larger than"),
        ("(" * 100_000, "not Python"),
        ("x = \0", "not Python"),
        ("if x: pass\n" + "elif x: pass\n" * 900, "blocks inside each other"),
        ("class A(P):\n if x: pass\n" + " elif x: pass\n" * 900, "blocks inside each other"),
    ],
)
def test_what_is_no_recipe_is_an_entry_error(source: str, message: str) -> None:
    with pytest.raises(EntryError, match=message):
        read_package_recipe(source.encode(), "packages/a/package.py")


@given(
    data=st.binary(max_size=200) | st.text(alphabet="class A(P):\n version'1,=[]{}").map(str.encode)
)
def test_any_bytes_are_a_recipe_or_an_entry_error(data: bytes) -> None:
    try:
        read_package_recipe(data, "p.py")
    except EntryError as error:
        assert error.path == "p.py"  # noqa: PT017 either way is right
