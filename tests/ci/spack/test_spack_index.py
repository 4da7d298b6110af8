import json
import lzma
from pathlib import Path

import pytest

from ci.spack import index
from ci.spack.refresh import main, package_name, read_checkout

RECIPE = """
class Zlib(Package):
    version("1.3", sha256="0")
    version("1.2.13", sha256="0")
    variant("pic", default=True)
    with when("@1.3:"):
        variant("shared", default=True)
    provides("zlib-api")
"""
COMPUTED = """
class Cuda(Package):
    for name in _versions:
        version(name)
    for name in _variants:
        variant(name)
"""
INHERITING = """
from spack.pkg.builtin.zlib import Zlib

class ZlibNg(Zlib):
    version("2.1", sha256="0")
    provides("zlib-api@1.2", when="+compat")
"""


def checkout(tmp_path: Path, folder: str, **recipes: str) -> Path:
    for name, text in recipes.items():
        path = tmp_path / folder / name / "package.py"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "folder",
    [
        "var/spack/repos/builtin/packages",
        "var/spack/repos/spack_repo/builtin/packages",
        "repos/spack_repo/builtin/packages",
    ],
)
def test_a_checkout_is_read(tmp_path: Path, folder: str) -> None:
    recipes = {"zlib": RECIPE, "cuda": COMPUTED, "zlib_ng": INHERITING, "broken": "class ("}
    content, count, unread = read_checkout(checkout(tmp_path, folder, **recipes))
    assert count == 4
    assert [line.split(":")[0] for line in unread] == ["packages/broken/package.py"]
    assert json.loads(lzma.decompress(content)) == {
        "packages": {
            "broken": "*;*",
            "cuda": "*;*",
            "zlib": "1.3 1.2.13;pic shared",
            "zlib-ng": "*;*",
        },
        "virtual": "zlib-api",
    }


def test_the_script_writes_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "index.xz"
    folder = checkout(tmp_path, "var/spack/repos/builtin/packages", zlib=RECIPE)
    assert main([str(folder), "--output", str(written)]) == 0
    assert "1 packages, 0 of them unread" in capsys.readouterr().out
    monkeypatch.setattr(index, "FILE", written)
    index._document.cache_clear()
    try:
        assert set(index.names()) == {"zlib"}
        assert index.known("zlib-api")
        found = index.listing("zlib")
        assert found is not None
        assert found.versions == ("1.3", "1.2.13")
        assert found.variants is not None
        assert {"pic", "shared", "build_system"} <= found.variants
    finally:
        index._document.cache_clear()


def test_a_folder_that_is_no_checkout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert "no Spack checkout" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folder", "name"), [("zlib", "zlib"), ("py_numpy", "py-numpy"), ("_7zip", "7zip")]
)
def test_names_of_packages(folder: str, name: str) -> None:
    assert package_name(folder) == name


def test_the_index_that_comes_with_us() -> None:
    assert len(index.names()) > 8000
    assert index.known("openmpi")
    assert index.is_virtual("mpi")
    assert index.known("mpi")
    assert not index.known("opnmpi")
    assert index.listing("opnmpi") is None
    hdf5 = index.listing("hdf5")
    assert hdf5 is not None
    assert hdf5.versions is not None
    assert "1.14.3" in hdf5.versions
    assert hdf5.variants is not None
    assert {"mpi", "build_type"} <= hdf5.variants
    cuda = index.listing("cuda")
    assert cuda is not None
    assert cuda.versions is None  # they are computed


def test_what_a_recipe_provides() -> None:
    text = 'provides("blas", "lapack@3:")\nprovides("mpi", when="@1:")\n# not("this")'
    assert list(index.provided_by(text)) == ["blas", "lapack", "mpi"]
