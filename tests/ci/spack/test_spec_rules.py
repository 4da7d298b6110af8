from collections.abc import Callable, Mapping

import pytest

from ci.findings import Finding
from ci.trees import Tree
from ci.validate import validate

Trees = Callable[..., Tree]
CATALOG = {"packages/compss/workflow.json": "{}", "packages/kratos/model.json": "{}"}
STEP = "demo/simulate"


def judged(
    tree: Trees,
    files: Mapping[str, str | bytes],
    specs: str,
    catalog: Mapping[str, str] | None = CATALOG,
) -> list[Finding]:
    written = {**files, f"{STEP}/eflows4hpc.yaml": f"spack:\n  specs:\n{specs}"}
    report = validate(tree(written), catalog=tree(catalog) if catalog is not None else None)
    return [each for each in report.findings if each.rule.startswith("environment/")]


@pytest.mark.parametrize(
    ("entry", "column"),
    [
        ("hdf5@1.14 ^opnmpi@4", 18),
        ("'hdf5@1.14 ^opnmpi@4'", 19),
        ("hdf5@1.14\n        ^opnmpi@4", 7),  # in two lines: the entry itself
    ],
)
def test_a_finding_is_at_the_package_inside_the_entry(
    tree: Trees, registry_files: dict[str, str | bytes], entry: str, column: int
) -> None:
    (finding,) = judged(tree, registry_files, f"    - {entry}\n")
    assert finding.rule == "environment/unknown-package"
    assert (finding.line, finding.column) == (3, column)
    assert finding.hint == "did you mean 'openmpi'?"


@pytest.mark.parametrize(
    "spec",
    [
        "compss@eflows4hpc",
        "kratos@9.4 apps=LinearSolversApplication,FluidDynamicsApplication",
        "compss@3.3 %gcc@12 ^openjdk@11",
        "py-numpy@1.26.4 ^[virtuals=blas,lapack] openblas@0.3.26 threads=openmp",
        "hdf5@1.14.3 build_type=Release cflags='-O3 -g' target=zen3 ^mpi@3",
        "kokkos@4.3.00 +cuda cuda_arch=80 ^cuda@12.4",
        "builtin.zlib@1.3",
    ],
)
def test_what_is_legal_gives_nothing(
    tree: Trees, registry_files: dict[str, str | bytes], spec: str
) -> None:
    assert judged(tree, registry_files, f'    - "{spec}"\n') == []


def test_without_a_catalogue_no_name_is_unknown(
    tree: Trees, registry_files: dict[str, str | bytes]
) -> None:
    assert judged(tree, registry_files, "    - opnmpi@4 %gccc\n", None) == []


def test_a_step_that_an_image_is_made_of_is_said_once(
    tree: Trees, registry_files: dict[str, str | bytes]
) -> None:
    files = {
        path: data
        for path, data in registry_files.items()
        if not path.startswith(STEP) or path.endswith(".py")
    }
    files |= {f"{STEP}/src/run.py": "", "demo/other/src/run.py": ""}
    report = validate(tree(files))
    missing = {(f.rule, f.path) for f in report.findings if "no software environment" in f.message}
    assert missing == {
        ("image/no-environment", "demo/tosca/topology.yaml"),
        ("environment/missing", "demo/other"),
    }
