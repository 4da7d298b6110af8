import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.package_recipe import class_name_of, read_package_recipe

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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "no package class"),
        ("class A(:", "not Python"),
        ("x" * 600_000, "larger than"),
        ("(" * 100_000, "not Python"),
        ("x = \0", "not Python"),
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
