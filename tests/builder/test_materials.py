"""What of the catalogue an image depends on, compared with who can reach whom."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.materials import used_catalog
from builder.recipe import EASYBUILD_RELEASE
from ci.software import own_easyconfigs
from ci.software.environment import SoftwareEnvironment

REPO = {"repo.yaml": b"repo: {namespace: demo}\n"}
CATALOG = Path(__file__).parents[2] / "software-catalog"


def recipe(*lines: str, head: str = "", base: str = "Package") -> bytes:
    body = "\n".join(f"    {line}" for line in ('"""A package."""', *lines))
    return f"from spack.package import *\n{head}\n\nclass X({base}):\n{body}\n".encode()


def spack(catalog: Mapping[str, bytes], *specs: str) -> set[str]:
    """The packages that are taken, by folder."""
    used = used_catalog(SoftwareEnvironment(spack=specs), catalog)
    assert all(catalog[path] == data for path, data in used.items())
    return {path.split("/")[1] for path in used if path.count("/") == 2}


def packages(**lines: list[str]) -> dict[str, bytes]:
    """A catalogue of these recipes; ``__`` stands for a dash."""
    found = {name.replace("__", "-"): recipe(*given) for name, given in lines.items()}
    return REPO | {f"packages/{name}/package.py": data for name, data in found.items()}


def test_nothing_of_the_catalogue_is_used_without_spack_and_easybuild() -> None:
    catalog = packages(zz1=[], openmpi=[])
    assert used_catalog(SoftwareEnvironment(apt=("zz1",), pip=("zz1",)), catalog) == {}
    without = {path: data for path, data in catalog.items() if path != "repo.yaml"}
    assert used_catalog(SoftwareEnvironment(spack=("zz1",)), without) == {}
    assert set(used_catalog(SoftwareEnvironment(spack=("zlib",)), REPO | {"README.md": b""})) == {
        "repo.yaml"
    }


@pytest.mark.parametrize(
    "line",
    [
        'depends_on("zz2")',
        'depends_on("zz2@1.2:+shared")',
        'depends_on("demo.zz2@1")',
        'depends_on("other ^zz2")',
        'depends_on("other %zz2")',
        'depends_on("other ^[virtuals=blas] zz2+x")',
        'depends_on("zz2", when="+never")',
        'depends_on(spec="zz2")',
        'depends_on(("other", "zz2"))',
        'extends("zz2")',
        'requires("%zz2")',
        'requires("+a", "^zz2", policy="one_of")',
        'conflicts("^zz2")',
        'variant("x", default=True, when="%zz2")',
        'version("1.0", when="^zz2")',
        'with when("^zz2"):\n        variant("y")',
        'with default_args(when="^zz2"):\n        depends_on("x")',
        'patch("../zz2/fix.patch")',
        'depends_on(f"zz2@{version}")',
        'depends_on("zz2@{}".format(version))',
        'depends_on("zz2@%s" % version)',
        'depends_on("zz2" + "@1")',
        'depends_on("zz2" if True else "other")',
        'for x in ("other", "zz2"):\n        depends_on(x)',
        'for x in ("zz1", "zz2"):\n        depends_on(f"{x}@1", when=f"@{x}")',
        'names = ["zz2"]\n    for x in names:\n        depends_on("%s" % x + "@1")',
        'for x, v in {"zz2": "1"}.items():\n        depends_on("{0}@{1}".format(x, v))',
        'for x, v in {"zz2": "1"}.items():\n        depends_on(x + "@" + v)',
        'import spack\n    spack.directives.depends_on("zz2")',
    ],
)
def test_a_package_brings_in_what_it_names(line: str) -> None:
    catalog = packages(zz1=[line], zz2=[], zz3=[], zz4=['depends_on("zz1")'])
    assert spack(catalog, "zz1@1 +x") >= {"zz1", "zz2"}
    if "x + " not in line and "format(x" not in line and "% x" not in line:
        assert spack(catalog, "zz1@1 +x") == {"zz1", "zz2"}
    assert spack(catalog, "zz3") == {"zz3"}


@pytest.mark.parametrize(
    "line",
    [
        "depends_on(name_of_it())",
        'depends_on(f"{what}-zz")',
        'depends_on("x ^" + what)',
        "def more(x):\n        depends_on(x)",
        "d = depends_on",
        "depends_on(**given)",
        "a = a + a\n    depends_on(a)",
    ],
)
def test_a_recipe_that_cannot_be_followed_takes_all_packages(line: str) -> None:
    catalog = packages(zz1=[line], zz2=[], zz3=[])
    assert spack(catalog, "zz1") == {"zz1", "zz2", "zz3"}
    assert spack(catalog, "zz2") == {"zz2"}


@pytest.mark.parametrize(
    "line", ["variant(name(), when=computed)", 'conflicts("^" + what)', 'patch("zz2/fix.patch")']
)
def test_what_brings_nothing_in_may_be_computed(line: str) -> None:
    assert spack(packages(zz1=[line], zz2=[]), "zz1") == {"zz1"}


@pytest.mark.parametrize(
    ("specs", "found"),
    [
        (["zz1", "zz2"], {"zz1", "zz2"}),
        (["zz1 ^zz2"], {"zz1", "zz2"}),
        (["zz1 %zz2@1"], {"zz1", "zz2"}),
        (["zlib"], set()),
        (["zz1 ^ ^"], {"zz1", "zz2", "zz3"}),
    ],
)
def test_specs_name_packages_in_many_places(specs: list[str], found: set[str]) -> None:
    assert spack(packages(zz1=[], zz2=[], zz3=[]), *specs) == found


def test_what_recipes_of_spack_can_reach_is_always_taken() -> None:
    catalog = packages(
        openmpi=['depends_on("zz3")'],  # a name of Spack's
        zz2=['provides("mpi")'],
        zz3=[],
        zz4=[],
    )
    catalog["packages/zz5/package.py"] = recipe(
        head="from spack.pkg.builtin.openmpi import Openmpi", base="Openmpi"
    )
    catalog["packages/zz6/package.py"] = b"class ( provides"
    assert spack(catalog, "zlib") >= {"openmpi", "zz2", "zz3", "zz5", "zz6"}
    catalog["packages/zz6/package.py"] = b"class ("
    assert spack(catalog, "zlib") == {"openmpi", "zz2", "zz3", "zz5"}
    assert spack(catalog, "zz6") == {"openmpi", "zz2", "zz3", "zz4", "zz5", "zz6"}


def test_inherited_recipes_are_taken() -> None:
    catalog = packages(zz2=[], zz__3=[])
    catalog["packages/zz1/package.py"] = recipe(
        head="from spack.pkg.demo.zz_3 import Zz3", base="Zz3"
    )
    assert spack(catalog, "zz1") == {"zz1", "zz-3"}
    catalog["packages/zz1/package.py"] = recipe(
        head="import spack_repo.demo.packages.zz2.package as m", base="m.Zz2"
    )
    assert spack(catalog, "zz1") == {"zz1", "zz2"}


def test_folders_may_have_names_of_python() -> None:
    catalog = packages(py_zz=['depends_on("7zz")'], _7zz=[])
    assert spack(catalog, "py-zz") == {"py_zz", "_7zz"}


def test_files_of_a_package_belong_to_it_but_not_its_invocations() -> None:
    catalog = packages(zz1=['patch("fix.patch")', 'resource(name="asked.json")'], zz2=[])
    folder = {
        "packages/zz1/fix.patch": b"p",
        "packages/zz1/sub/more.sh": b"m",
        "packages/zz1/asked.json": b"{}",
    }
    others = {
        "packages/zz1/zz1.json": b"{}",
        "packages/zz1/zz1-1.0.eb": b"",
        "packages/zz2/fix.patch": b"p",
        "packages/zz11/fix.patch": b"p",
        "cfg/packages.yaml": b"packages: {}",
        "README.md": b"",
    }
    used = used_catalog(SoftwareEnvironment(spack=("zz1",)), catalog | folder | others)
    assert set(used) == {"repo.yaml", "packages/zz1/package.py", *folder}


@pytest.mark.parametrize(
    "repository", [b"repo: {namespace: a, subdirectory: x}", b"repo: [", b"\xff"]
)
def test_a_repository_of_another_shape_is_taken_whole(repository: bytes) -> None:
    catalog = packages(zz1=[], zz2=[]) | {"repo.yaml": repository}
    assert used_catalog(SoftwareEnvironment(spack=("zz1",)), catalog) == catalog


GRAPHS = st.dictionaries(
    st.integers(0, 7), st.lists(st.integers(0, 7), max_size=3), min_size=1, max_size=8
)
FORMS = st.sampled_from(
    [
        'depends_on("zz{0}")',
        'depends_on("zz{0}@1:", when="+a", type="build")',
        'extends("zz{0}")',
        'for x in ["zz{0}"]:\n        depends_on(x)',
        'with when("@2"):\n        depends_on(f"zz{0}@{{v}}")',
    ]
)


def reach(graph: Mapping[int, list[int]], start: set[int]) -> set[int]:
    """Closed under one step, from below: another way than the one that is tested."""
    closed = start & graph.keys()
    for _ in graph:
        closed = closed | {to for at in closed for to in graph[at] if to in graph}
    return closed


@given(graph=GRAPHS, start=st.sets(st.integers(0, 7), min_size=1), data=st.data())
def test_random_recipes_give_what_can_be_reached(
    graph: dict[int, list[int]], start: set[int], data: st.DataObject
) -> None:
    catalog = dict(REPO)
    for at, others in graph.items():
        lines = [data.draw(FORMS).format(other) for other in others]
        catalog[f"packages/zz{at}/package.py"] = recipe(*lines)
    found = spack(catalog, *(f"zz{at}" for at in start))
    assert found == {f"zz{at}" for at in reach(graph, start)}


@given(graph=GRAPHS, start=st.sets(st.integers(0, 7), min_size=1), data=st.data())
def test_a_change_outside_changes_nothing(
    graph: dict[int, list[int]], start: set[int], data: st.DataObject
) -> None:
    catalog = REPO | {"README.md": b"", "cfg/packages.yaml": b""}
    for at, others in graph.items():
        lines = [f'depends_on("zz{other}")' for other in others]
        catalog[f"packages/zz{at}/package.py"] = recipe(*lines)
        catalog |= {f"packages/zz{at}/{name}": b"" for name in ("a.patch", "b.json")}
        catalog[f"packages/zz{at}/Zz{at}-1.0.eb"] = easyconfig(f"Zz{at}", "1.0")
    environment = SoftwareEnvironment(
        spack=tuple(f"zz{at}" for at in start), easybuild=(f"Zz{min(start)}-1.0.eb",)
    )
    used = used_catalog(environment, catalog)
    for path in data.draw(st.sets(st.sampled_from(sorted(catalog.keys() - used)), max_size=4)):
        catalog[path] += b"# changed\n"
    catalog[data.draw(st.sampled_from(["docs/a.md", "packages/zz99/b.patch", "schemas/c"]))] = (
        b"new"
    )
    assert used_catalog(environment, catalog) == used


EASYCONFIG = "easyblock = 'X'\nname = {0!r}\nversion = {1!r}\ntoolchain = {2}\ndependencies = {3}\n"


def easyconfig(name: str, version: str, needs: str = "[]", toolchain: str = "SYSTEM") -> bytes:
    return EASYCONFIG.format(name, version, toolchain, needs).encode()


def easybuild(catalog: Mapping[str, bytes], *names: str) -> set[str]:
    used = used_catalog(SoftwareEnvironment(easybuild=names), catalog)
    return {posixpath.basename(path) for path in used if path.endswith(".eb")}


ZZ = {
    "packages/a/Zz-1.0.eb": easyconfig("Zz", "1.0"),
    "packages/a/Zz-1.0-tool-3.eb": easyconfig("Zz", "1.0"),
    "packages/a/Zz-1.0.5.eb": easyconfig("Zz", "1.0.5"),
    "packages/b/Zz-bundle-1.0.eb": easyconfig("Zz-bundle", "1.0"),
    "packages/b/tool-3.eb": easyconfig("tool", "3"),
}


@pytest.mark.parametrize(
    ("needs", "toolchain", "found"),
    [
        ("[]", "SYSTEM", set()),
        ("[('Zz', '1.0')]", "SYSTEM", {"Zz-1.0.eb", "Zz-1.0-tool-3.eb"}),
        ("[('Zz', '1.0.5', '', SYSTEM)]", "SYSTEM", {"Zz-1.0.5.eb"}),
        ("[('Zz', '1.0.5', '', ('tool', '3'))]", "SYSTEM", {"Zz-1.0.5.eb", "tool-3.eb"}),
        ("[{'name': 'Zz', 'version': '1.0.5'}]", "SYSTEM", {"Zz-1.0.5.eb"}),
        ("[[('Zz', '1.0.5')], [('tool', '3')]]", "SYSTEM", {"Zz-1.0.5.eb", "tool-3.eb"}),
        ("[]", "{'name': 'tool', 'version': '3'}", {"tool-3.eb"}),
        ("[('tool', EXTERNAL_MODULE)]", "SYSTEM", {"tool-3.eb"}),
        (
            "[('Zz', '%(version)s')]",
            "SYSTEM",
            {"Zz-1.0.eb", "Zz-1.0-tool-3.eb", "Zz-1.0.5.eb", "Zz-bundle-1.0.eb"},
        ),
        ("[('Z' + 'z', '1')]", "SYSTEM", {posixpath.basename(path) for path in ZZ}),
        ("[('tool', '3')] + []", "SYSTEM", {posixpath.basename(path) for path in ZZ}),
        ("[('tool', open('x'))]", "SYSTEM", {posixpath.basename(path) for path in ZZ}),
    ],
)
def test_an_easyconfig_brings_in_what_it_needs(needs: str, toolchain: str, found: set[str]) -> None:
    start = {"packages/c/App-2.eb": easyconfig("App", "2", needs, toolchain)}
    assert easybuild(ZZ | start, "App-2.eb") == found | {"App-2.eb"}


def test_easyconfigs_that_replace_easybuilds_own_are_taken_once_one_of_these_is_needed() -> None:
    own = "HDF5-1.14.0-gompi-2023a.eb"
    assert own in own_easyconfigs.names()
    catalog = ZZ | {
        f"packages/hdf5/{own}": easyconfig("HDF5", "1.14.0", "[('tool', '3')]"),
        "packages/hdf5/HDF5-0.1.eb": easyconfig("HDF5", "0.1"),
        "packages/c/App-2.eb": easyconfig("App", "2", "[('Unlisted', '1')]"),
    }
    assert easybuild(catalog, "App-2.eb") == {"App-2.eb", own, "tool-3.eb"}
    assert easybuild(catalog, "GROMACS-2023.3-foss-2023a.eb") == {own, "tool-3.eb"}
    assert easybuild(catalog, "Zz-1.0.5.eb") == {"Zz-1.0.5.eb"}


def test_the_list_of_easybuilds_own_is_that_of_the_release_that_builds() -> None:
    assert own_easyconfigs.release() == EASYBUILD_RELEASE
    assert len(own_easyconfigs.names()) > 10_000


def test_sources_and_patches_of_easyconfigs_are_taken() -> None:
    catalog = ZZ | {
        "packages/a/fix.patch": b"",
        "packages/a/src/zz.tar.gz": b"",
        "packages/Zz/zz.tar.gz": b"",
        "packages/z/Zz/zz.tar.gz": b"",
        "packages/zz.tar.gz": b"",
        "packages/a/sub/x/deep.patch": b"",
    }
    others = {
        "packages/a/package.py": b"",
        "packages/a/zz.json": b"",
        "packages/b/fix.patch": b"",
        "packages/ab/fix.patch": b"",
        "repo.yaml": b"",
        "README.md": b"",
    }
    used = used_catalog(SoftwareEnvironment(easybuild=("Zz-1.0.eb",)), catalog | others)
    assert set(used) == catalog.keys() - (ZZ.keys() - {"packages/a/Zz-1.0.eb"})


@given(graph=GRAPHS, start=st.sets(st.integers(0, 7), min_size=1))
def test_random_easyconfigs_give_what_can_be_reached(
    graph: dict[int, list[int]], start: set[int]
) -> None:
    catalog = {
        f"packages/zz/Zz{at}-1.{at}.eb": easyconfig(
            f"Zz{at}", f"1.{at}", repr([(f"Zz{other}", f"1.{other}") for other in others])
        )
        for at, others in graph.items()
    }
    found = easybuild(catalog, *(f"Zz{at}-1.{at}.eb" for at in start))
    assert found == {f"Zz{at}-1.{at}.eb" for at in reach(graph, start)}


def real_catalog() -> dict[str, bytes]:
    files = (path for path in CATALOG.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {path.relative_to(CATALOG).as_posix(): path.read_bytes() for path in files}


def test_the_catalogue_that_comes_with_the_project() -> None:
    catalog = real_catalog()
    assert spack(catalog, "py-ezyrb") >= {"py-ezyrb"}
    used = used_catalog(SoftwareEnvironment(spack=("py-mpi4py",)), catalog)
    assert "packages/py-mpi4py/package.py" in used
    assert not [path for path in used if path.endswith((".eb", ".json", ".md"))]
    name = "mpi4py-3.1.6-gompi-2023a.eb"
    assert set(used_catalog(SoftwareEnvironment(easybuild=(name,)), catalog)) == {
        f"packages/py-mpi4py/{name}"
    }


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3), st.binary(max_size=80))
def test_any_bytes_of_recipes_give_an_answer(names: list[str], data: bytes) -> None:
    catalog = REPO | {f"packages/{name}/package.py": data for name in names}
    catalog |= {f"packages/{name}/A-1.eb": data for name in names}
    environment = SoftwareEnvironment(spack=("a",), easybuild=("A-1.eb",))
    assert set(used_catalog(environment, catalog)) <= set(catalog)


DOUBLING = [f"a{n} = a{n - 1} + a{n - 1}" for n in range(1, 40)]


@pytest.mark.parametrize(
    "lines",
    [
        ['a0 = "x"', *DOUBLING, "depends_on(a39)"],
        ['a0 = ["x", "y"]', *(line.replace("+", ",") for line in DOUBLING), "depends_on(a39)"],
        [f"depends_on({' + '.join(['b'] * 900)})", f'b = "{"c" * 10000}"'],
        [f'depends_on("{"% " * 100_000}")'],
    ],
)
def test_recipes_cannot_make_the_reader_double_texts_for_ever(lines: list[str]) -> None:
    assert "zz1" in spack(packages(zz1=lines, zz2=[]), "zz1")
