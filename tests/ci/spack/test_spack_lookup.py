from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.software.catalog import Catalog
from ci.spack.index import names
from ci.spack.lookup import Lookup
from ci.trees import Tree

MINE = """
from spack.package import *

class Mine(CMakePackage):
    version("1.2", sha256="0")
    variant("fast", default=True)
    provides("solver", when="+fast")
"""
OPEN = MINE + "\n    def url_for_version(self, version):\n        return ''\n"
INHERITING = "from spack.pkg.builtin.hdf5 import Hdf5\nclass Child(Hdf5):\n    version('1.2')\n"


@pytest.fixture
def lookup(tree: Callable[..., Tree]) -> Callable[..., Lookup]:
    """Makes a look-up: names of packages and their recipes."""

    def made(**recipes: str) -> Lookup:
        files = {f"packages/{name}/package.py": text for name, text in recipes.items()}
        return Lookup(Catalog(tree({**files, "packages/compss/workflow.json": "{}"})))

    return made


def test_packages_of_the_catalogue_come_first(lookup: Callable[..., Lookup]) -> None:
    found = lookup(mine=MINE, zlib=MINE.replace("Mine", "Zlib"))
    mine = found.facts("mine")
    assert mine is not None
    assert mine.ours
    assert mine.versions == ("1.2",)
    assert mine.variants is not None
    assert {"fast", "build_type"} <= mine.variants
    ours, theirs = found.facts("zlib"), found.facts("zlib", "builtin")
    assert ours is not None
    assert theirs is not None
    assert ours.ours
    assert not theirs.ours
    assert found.facts("nobody") is None


@pytest.mark.parametrize(
    ("recipe", "versions", "variants"),
    [
        (OPEN, None, True),
        (INHERITING, None, False),
        (MINE.replace('"fast"', "name"), ("1.2",), False),
        (MINE.replace('version("1.2"', "version(name"), None, True),
        ("class (", None, False),
    ],
)
def test_what_a_recipe_leaves_open_is_not_judged(
    lookup: Callable[..., Lookup], recipe: str, versions: tuple[str, ...] | None, variants: bool
) -> None:
    facts = lookup(mine=recipe).facts("mine")
    assert facts is not None
    assert facts.versions == versions
    assert (facts.variants is not None) is variants


def test_a_package_without_a_recipe_is_known_and_not_judged(lookup: Callable[..., Lookup]) -> None:
    found = lookup()
    facts = found.facts("compss")
    assert not found.is_missing("compss")
    assert facts is not None
    assert facts.versions is None
    assert facts.variants is None


def test_what_is_missing(lookup: Callable[..., Lookup]) -> None:
    found = lookup(mine=MINE)
    assert found.is_missing("opnmpi")
    assert not found.is_missing("openmpi")
    assert not found.is_missing("mpi")
    assert not found.is_missing("solver")  # which the catalogue provides
    assert not Lookup(None).is_missing("opnmpi")


def test_compilers(lookup: Callable[..., Lookup]) -> None:
    found = lookup(mine=MINE)
    assert found.is_compiler("gcc")
    assert found.is_compiler("oneapi")
    assert found.is_compiler("intel-oneapi-compilers")
    assert not found.is_compiler("gccc")
    assert "'gcc'" in found.near_compiler("gccc")
    assert Lookup(None).is_compiler("gccc")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("mien", "mine"),  # of the catalogue
        ("opnmpi", "openmpi"),
        ("numpy", "py-numpy"),
        ("py_numpy", "py-numpy"),
        ("py-nunpyy", "py-numpy"),
        ("netcdf", "netcdf-c"),
        ("quantumespresso", "quantum-espresso"),
        ("petcs", "petsc"),
    ],
)
def test_what_was_probably_meant(lookup: Callable[..., Lookup], name: str, meant: str) -> None:
    assert lookup(mine=MINE).near(name)[0] == f"did you mean {meant!r}?"


def test_nothing_near(lookup: Callable[..., Lookup]) -> None:
    assert lookup().near("xyzzyq") == ("add it to the Software Catalogue", False)


@given(st.text())
def test_a_guess_is_a_package(name: str) -> None:
    hint = Lookup(None).near(name)[0]
    assert hint.startswith("add") or hint.split("'")[1] in names()
