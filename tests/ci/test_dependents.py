from ci.dependents import dependent_packages, dependent_workflows, folders_of, provided_by, users_of
from ci.registry import Registry
from ci.software.catalog import Catalog

RECIPE = 'class X(Package):\n    version("1")\n    depends_on("{}")\n'


def test_the_folders_that_hold_a_path() -> None:
    assert folders_of(["a/b", "c", "a/d/e", "f/g"]) == {"a", "f"}
    assert folders_of(["packages/a/b", "packages/c", "x/y"], "packages") == {"a"}


def test_packages_that_depend_on_a_package_however_indirectly(tree) -> None:
    recipes = {"a": "zlib", "b": "a@2:", "c": "b+x", "d": "a-other", "e": "f"}
    files = {f"packages/{n}/package.py": RECIPE.format(d) for n, d in recipes.items()}
    catalog = Catalog(tree(files))
    assert dependent_packages(catalog, {"a"}) == {"a", "b", "c"}
    assert dependent_packages(catalog, {"e"}) == {"e"}
    assert dependent_packages(catalog, {"gone"}) == {"gone"}


def test_what_is_provided_or_inherited_is_a_dependency_too(tree) -> None:
    files = {
        "packages/impl/package.py": 'class Impl(Package):\n    provides("fooapi@2")\n',
        "packages/user/package.py": RECIPE.format("fooapi"),
        "packages/child/package.py": "from spack.pkg.mine.impl import Impl\n"
        'class Child(Impl):\n    version("1")\n',
    }
    catalog = Catalog(tree(files))
    assert provided_by(catalog, {"impl", "gone"}) == {"fooapi"}
    assert dependent_packages(catalog, {"impl", "fooapi"}) == {"impl", "fooapi", "user", "child"}


def test_workflows_that_use_a_package_in_an_environment_or_in_code(tree) -> None:
    registry = Registry(
        tree(
            {
                "spec/s/eflows4hpc.yaml": "spack:\n  specs:\n    - kratos@9.4 +mpi\n",
                "dependency/s/spack.yaml": "spack: {specs: ['x@1 ^kratos']}",
                "code/s/src/a.py": 'software(config_file=C + "/kratos/fom.json")',
                "easybuild/s/eflows4hpc.yaml": "easybuild:\n  - kratos-9.4.eb\n",
                "other/s/eflows4hpc.yaml": "spack: {specs: [kratos2, py_kratos, xkratos]}",
                "text/s/README.md": "kratos@9.4",
            }
        )
    )
    assert [w.name for w in users_of(registry, {"kratos"})] == [
        "code",
        "dependency",
        "easybuild",
        "spec",
    ]
    assert list(users_of(registry, set())) == []


def test_workflows_that_a_change_touches_or_may_break(tree) -> None:
    topology = "topology_template: {node_templates: {I: {properties: {workflow: lib}}}}"
    registry = Registry(
        tree({"lib/s/a.py": "", "user/tosca/t.yaml": topology, "alone/tosca/t.yaml": "{}"})
    )
    assert dependent_workflows(registry, ["lib/s/a.py"]) == {"lib"}
    assert dependent_workflows(registry, ["lib/s/gone.py"]) == {"lib", "user"}
    assert dependent_workflows(registry, ["README.md", "docs/a"]) == set()
    assert dependent_workflows(registry, ["types/mine.yaml"]) == {"lib", "user", "alone"}
