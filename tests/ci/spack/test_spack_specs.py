import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.spack.specs import MAX_LENGTH, Spec, parse_spec

COMMIT = "abc12" * 8


def told(spec: Spec) -> dict[str, Any]:
    """What a spec says, without what it does not."""
    said = {
        "name": spec.name,
        "namespace": spec.namespace,
        "version": spec.version,
        "variants": dict(spec.variants),
        "flags": dict(spec.flags),
        "architecture": dict(spec.architecture),
        "hash": spec.hash,
        "compilers": [f"{each.name}@{each.version}".strip("@") for each in spec.compilers],
        "dependencies": [told(each) for each in spec.dependencies],
    }
    return {key: value for key, value in said.items() if value}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # of the public registry
        ("compss", {"name": "compss"}),
        ("compss@eflows4hpc", {"name": "compss", "version": "eflows4hpc"}),
        ("py-dislib@0.8.0", {"name": "py-dislib", "version": "0.8.0"}),
        (
            "kratos@9.4 apps=RomApplication,MappingApplication",
            {
                "name": "kratos",
                "version": "9.4",
                "variants": {"apps": ("RomApplication", "MappingApplication")},
            },
        ),
        # names
        ("3dtk", {"name": "3dtk"}),
        ("mvapich_foo", {"name": "mvapich_foo"}),
        ("builtin.zlib", {"name": "zlib", "namespace": "builtin"}),
        ("a.b.zlib%gcc", {"name": "zlib", "namespace": "a.b", "compilers": ["gcc"]}),
        # versions
        ("m4@=1.4.18", {"name": "m4", "version": "=1.4.18"}),
        ("x@1.2:1.4 , 1.6 ", {"name": "x", "version": "1.2:1.4,1.6"}),
        ("x @:1.4", {"name": "x", "version": ":1.4"}),
        ("x@ 1.2: +y", {"name": "x", "version": "1.2:", "variants": {"y": True}}),
        ("x@git.feature/a-b=1.2", {"name": "x", "version": "git.feature/a-b=1.2"}),
        (
            f"x@{COMMIT}=develop+y",
            {"name": "x", "version": f"{COMMIT}=develop", "variants": {"y": True}},
        ),
        (
            "x@10.4.0:10,11.3.0:target=aarch64:",
            {
                "name": "x",
                "version": "10.4.0:10,11.3.0:",
                "architecture": {"target": "aarch64:"},
            },
        ),
        (
            "x@1.2:develop = foo",
            {"name": "x", "version": "1.2:", "variants": {"develop": ("foo",)}},
        ),
        # variants
        ("py-numpy+blas", {"name": "py-numpy", "variants": {"blas": True}}),
        ("x~f+e -d", {"name": "x", "variants": {"f": False, "e": True, "d": False}}),
        ("x +debug-qt_4", {"name": "x", "variants": {"debug-qt_4": True}}),
        ("x++a~~b c==d", {"name": "x", "variants": {"a": True, "b": False, "c": ("d",)}}),
        ("x y=True z=false", {"name": "x", "variants": {"y": True, "z": False}}),
        ("x y:=a,b", {"name": "x", "variants": {"y": ("a", "b")}}),
        ("x y='a b'", {"name": "x", "variants": {"y": ("a b",)}}),
        ("x languages=c languages=go", {"name": "x", "variants": {"languages": ("c", "go")}}),
        # flags and architecture
        ('x cflags="-O3 -g"', {"name": "x", "flags": {"cflags": "-O3 -g"}}),
        ("x cflags=a=b=c+~", {"name": "x", "flags": {"cflags": "a=b=c+~"}}),
        ("x cflags=''-Wl,a,b,c''", {"name": "x", "flags": {"cflags": "-Wl,a,b,c"}}),
        (
            "x os=rhel8 target=zen2 platform=linux",
            {
                "name": "x",
                "architecture": {"os": "rhel8", "target": "zen2", "platform": "linux"},
            },
        ),
        # compilers: what stands after them belongs to the package
        ("x %gcc@12 +y", {"name": "x", "compilers": ["gcc@12"], "variants": {"y": True}}),
        ("x % intel @ 12.1:12.6", {"name": "x", "compilers": ["intel@12.1:12.6"]}),
        ("x %bar@1.0 @2.0", {"name": "x", "compilers": ["bar@1.0"], "version": "2.0"}),
        ("x %c,cxx=gcc@12 %fortran=flang", {"name": "x", "compilers": ["gcc@12", "flang"]}),
        ("x%%gcc", {"name": "x", "compilers": ["gcc"]}),
        # dependencies
        (
            "hdf5@1.10:1.12+mpi~shared ^openmpi@4%gcc fabrics=ucx^zlib",
            {
                "name": "hdf5",
                "version": "1.10:1.12",
                "variants": {"mpi": True, "shared": False},
                "dependencies": [
                    {
                        "name": "openmpi",
                        "version": "4",
                        "compilers": ["gcc"],
                        "variants": {"fabrics": ("ucx",)},
                    },
                    {"name": "zlib"},
                ],
            },
        ),
        ("x ^[virtuals=mpi] openmpi", {"name": "x", "dependencies": [{"name": "openmpi"}]}),
        ("x ^[deptypes=link,build]y", {"name": "x", "dependencies": [{"name": "y"}]}),
        ("x %[when='+y' virtuals=c] gcc", {"name": "x", "compilers": ["gcc"]}),
        ("x ^/abcde", {"name": "x", "dependencies": [{"hash": "abcde"}]}),
        ("x ^+y", {"name": "x", "dependencies": [{"variants": {"y": True}}]}),
        ("foo@1.2.3 /abcde", {"name": "foo", "version": "1.2.3", "hash": "abcde"}),
    ],
)
def test_what_a_spec_says(text: str, expected: dict[str, Any]) -> None:
    spec = parse_spec(text)
    assert told(spec) == expected
    assert spec.text == text


def test_places_of_packages_count_from_one() -> None:
    spec = parse_spec("hdf5 %gcc ^zlib ^ openmpi")
    assert [node.column for node in spec.nodes] == [1, 12, 19]
    assert spec.compiler is not None
    assert spec.compiler.column == 7
    assert parse_spec("zlib").compiler is None


def test_a_spec_cannot_be_changed() -> None:
    spec = parse_spec("zlib+pic")
    with pytest.raises(AttributeError):
        spec.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        spec.variants["pic"] = False  # type: ignore[index]
    assert hash(spec) == hash(parse_spec("zlib+pic"))


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("", 1, "lower case"),
        ("@1.0", 1, "lower case"),
        ("-x", 1, "lower case"),
        ("^zlib", 1, "lower case"),
        ("%gcc zlib", 1, "lower case"),
        ("/abc", 1, "lower case"),
        ("a=b", 1, "a@b"),
        ("kratos==9.4", 1, "kratos@9.4"),
        ("Kratos", 1, "kratos"),
        ("zlib ^HDF5", 7, "hdf5"),
        ("numpy>=3", 6, "name@1.2:"),
        ("kratos 9.4", 8, "kratos@9.4"),
        ("a b", 3, "one package"),
        ("a@1: b", 6, "one package"),
        ("zlib@", 5, "after @"),
        ("x@@1.2", 2, "after @"),
        ("x@1.2::", 7, "name@version"),
        ("x::", 2, "name@version"),
        ("x@1 @2", 5, "lists"),
        ("x@1.4:1.2", 2, "1.2:1.4"),
        ("x+a~a", 4, "+a or ~a"),
        ("x target=a target=b", 12, "one target"),
        ("x ^", 3, "a package's name"),
        ("x % +y", 3, "a package's name"),
        ("x ^ ^y", 3, "a package's name"),
        ("x ^[colour=red] y", 5, "deptypes"),
        ("x ^[virtuals=mpi openmpi", 4, "name@version"),
        ("x $(id)", 3, "name@version"),
        ("x\x00", 2, "name@version"),
        ("x" * (MAX_LENGTH + 1), 1, "one package"),
    ],
)
def test_what_is_wrong_and_where(text: str, column: int, hint: str) -> None:
    with pytest.raises(EntryError, match="not a Spack spec") as caught:
        parse_spec(text)
    assert caught.value.column == column
    assert hint in caught.value.hint


@given(st.text() | st.text(alphabet="ab1@=:.,+~-%^[]\"' /x*", max_size=60))
def test_any_text_is_a_spec_or_an_entry_error(text: str) -> None:
    try:
        spec = parse_spec(text)
    except EntryError as error:
        assert error.hint  # noqa: PT017 either way is right
        assert 1 <= error.column <= len(text) + 1  # noqa: PT017
    else:
        assert spec.name
        assert all(1 <= node.column <= len(text) for node in spec.nodes)


WORDS = st.sampled_from(
    ["@1.2", "@1:2,3:", "@=4", "+mpi", "~x", " a=b", " c=d,e", "%gcc@12", " ^zlib", " ^hdf5", "/ab"]
)


@given(st.lists(WORDS, max_size=8))
def test_what_is_put_together_is_read(words: list[str]) -> None:
    try:
        spec = parse_spec("x" + "".join(words))
    except EntryError as error:
        assert "second version" in str(error)  # noqa: PT017 that alone can be wrong
    else:
        assert spec.name == "x"
        assert len(spec.dependencies) == sum(word.startswith(" ^") for word in words)


@pytest.mark.parametrize(
    "text",
    [
        "x" + "'" * 3000,
        "x ^[" + "''a''" * 700,
        "x ^[" * 900,
        "x@" + "1," * 1900,
        "x@" + "1:" * 1900,
        "x " + "a" * 3900 + " ",
        "x" + " =" * 1900,
        "x@1" + " , " * 1000,
        "x a" + " " * 3900 + "!",
    ],
)
def test_no_text_takes_long(text: str) -> None:
    start = time.perf_counter()
    with suppress(EntryError):
        parse_spec(text)
    assert time.perf_counter() - start < 30  # a guard against no end, not a measure
