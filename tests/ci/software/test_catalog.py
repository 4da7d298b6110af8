import pytest

from ci.errors import EntryError
from ci.software.catalog import Catalog, is_catalog


def test_packages_are_folders_and_know_their_files(tree) -> None:
    files = {
        "repo.yaml": "repo: {namespace: x}",
        "packages/README.md": "",
        "packages/compss/package.py": "class Compss(Package):\n    version('1', sha256='x')\n",
        "packages/compss/workflow.json": '{"execution": {"type": "workflow"}}',
        "packages/compss/patches/a.json": "{}",
        "packages/hdf5/HDF5-1.14.0.eb": "name = 'HDF5'\nversion = '1.14.0'\n",
    }
    catalog = Catalog(tree(files))
    assert list(catalog.packages) == ["compss", "hdf5"]
    compss = catalog.package("compss")
    assert compss.recipe.class_name == "Compss"
    assert compss.invocation_files == ["packages/compss/workflow.json"]
    hdf5 = catalog.package("hdf5")
    assert not hdf5.has_recipe
    assert hdf5.easyconfig(hdf5.easyconfig_files[0]).version == "1.14.0"
    with pytest.raises(EntryError, match="did you mean 'compss'"):
        catalog.package("comps")


def test_a_catalogue_is_told_from_a_workflow_registry(tree, registry_files) -> None:
    assert is_catalog(tree({"packages/a/package.py": ""}))
    assert not is_catalog(tree(registry_files))
