"""What packages a recipe names; how this makes a catalogue's graph is in ``test_materials``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.software.recipe_references import package_key, read_references

PATH = "packages/a/package.py"


@pytest.mark.parametrize(
    ("name", "key"),
    [("py-numpy", "py-numpy"), ("py_numpy", "py-numpy"), ("_7zip", "7zip"), ("ns.sub.gcc", "gcc")],
)
def test_a_package_has_one_key(name: str, key: str) -> None:
    assert package_key(name) == key


def test_reads_names_where_specs_are() -> None:
    found = read_references(
        b"""
from spack.package import *
from spack.pkg.demo.other import Other

class A(Package):
    \"\"\"Not like depends_on("described").\"\"\"
    homepage = "https://example.org/homepage"
    depends_on("first@1:2 +x ^second %third", when="%fourth ^ns.fifth")
    variant("named", default=True)
    patch("local.patch")

    def install(self, spec, prefix):
        make("target", spec["first"].prefix)
""",
        PATH,
    )
    names = {"first", "second", "third", "fourth", "fifth", "other"}
    assert names <= found.names
    assert not found.names & {"described", "homepage", "named", "target", "local.patch"}
    assert (found.is_open, found.may_provide) == (False, False)


def test_what_provides_and_what_stays_open_is_told() -> None:
    text = b"class A(Package):\n    provides(x)\n    depends_on(x)\n"
    found = read_references(text, PATH)
    assert (found.is_open, found.may_provide) == (True, True)


CODE = st.lists(
    st.sampled_from(
        [
            *("depends_on(", "extends(", "when=", '"a ^b"', 'f"{x}@{y}"', "x", " + ", ", ", ")"),
            *("for x in ", ":\n        ", "\n    ", "class A(P):\n    ", "[", "]", "{", "}", "*x"),
            *('"%s" % ', ".format(x)", "x = ", "if x", " else ", "lambda: ", "**"),
        ]
    ),
    max_size=12,
).map("".join)


@given(
    st.one_of(st.binary(max_size=60), CODE.map(lambda text: f"class A(P):\n    {text}".encode()))
)
def test_any_file_gives_references_or_an_error(data: bytes) -> None:
    try:
        found = read_references(data, PATH)
    except EntryError as error:
        assert error.path == PATH  # noqa: PT017 either way is right
        return
    assert all(name == package_key(name) and "\0" not in name for name in found.names)
