import ast
import json
from typing import Any

import pytest

from builder.recipe import render
from builder.recipe.model import Cache, Run
from builder.recipe.scripts.activation import exports
from builder.recipe.scripts.database import settle
from builder.recipe.scripts.lock_check import wrong
from builder.recipe.spack import document
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

ZLIB = SoftwareEnvironment(spack=("zlib",))


def packages(**fields: str) -> dict[str, Any]:
    lines = document(ZLIB, Target(**fields), False)
    line = next(line for line in lines if line.startswith("  packages: "))
    found: dict[str, Any] = json.loads(line.removeprefix("  packages: "))
    return found


def test_the_microarchitecture_is_required() -> None:
    assert packages(microarchitecture="zen3") == {"all": {"require": ["target=zen3"]}}


@pytest.mark.parametrize(
    ("mpi", "spec"),
    [("openmpi@4.1.5", "openmpi@4.1.5"), ("mpich", "mpich"), ("intel-mpi", "intel-oneapi-mpi")],
)
def test_the_mpi_is_required(mpi: str, spec: str) -> None:
    assert packages(mpi=mpi)["mpi"] == {"require": [spec]}


def test_a_gpu_is_preferred_and_its_version_required() -> None:
    cuda = packages(gpu="cuda@12.2", gpu_architecture="8.0")
    assert cuda["all"]["variants"] == "+cuda cuda_arch=80"
    assert cuda["cuda"] == {"require": ["@12.2"]}
    rocm = packages(gpu="rocm@6.0", gpu_architecture="gfx90a")
    assert rocm["all"]["variants"] == "+rocm amdgpu_target=gfx90a"
    assert rocm["hip"] == {"require": ["@6.0"]}
    assert packages(gpu="cuda")["all"]["variants"] == "+cuda"


def test_checksums_are_never_off() -> None:
    text = render(ZLIB, Target(), "s").text
    assert "no-checksum" not in text
    assert '  config: {"install_tree": {"root": "/opt/software"}, "checksum": true}' in text


def test_what_is_kept_does_not_decide_what_is_built() -> None:
    assert '"reuse": false' in "\n".join(document(ZLIB, Target(), False))


def test_pull_requests_have_caches_of_their_own() -> None:
    """Code of the catalogue runs beside the cache, so what it leaves must not reach main."""
    environment = SoftwareEnvironment(
        spack=("zlib",), easybuild=("a-1.eb",), pip=("six",), post_install="post_inst.sh"
    )
    recipe = render(environment, Target(), "s")
    caches = {
        cache
        for stage in recipe.stages
        for step in stage.steps
        if isinstance(step, Run)
        for cache in step.caches
        if not any("apt-get" in line for line in step.lines)
    }
    assert caches == {Cache("spack", "/var/cache/spack")}
    assert recipe.text == recipe.dockerfile("main")
    assert "id=spack-main," in recipe.text
    pull = recipe.dockerfile("pull-7")
    assert "id=spack-pull-7," in pull
    assert "spack-main" not in pull
    assert recipe.dockerfile("pull-7").replace("spack-pull-7", "spack-main") == recipe.text


@pytest.mark.parametrize("scope", ["", "a,target=/etc", "a b", "../x", "-x", "a" * 65])
def test_a_scope_is_a_plain_name(scope: str) -> None:
    with pytest.raises(ValueError, match="scope"):
        render(ZLIB, Target(), "s").dockerfile(scope)


def test_the_lock_check_names_what_is_for_another_target() -> None:
    specs = {
        "a": {"name": "zlib", "arch": {"target": {"name": "zen3"}}},
        "b": {"name": "gmake", "arch": {"target": "x86_64"}},
        "c": {"name": "gcc", "arch": {"target": "x86_64"}, "external": {"path": "/usr"}},
    }
    assert wrong({"concrete_specs": specs}, "zen3") == ["gmake"]


def test_the_activation_keeps_what_an_image_needs() -> None:
    told = (
        "export SPACK_ENV=/opt/environment;\n"
        "alias despacktivate='spack env deactivate';\n"
        "export HELLO='a b';\n"
        "export PATH=/opt/views/view/bin:/opt/spack/bin:/usr/bin;\n"
    )
    assert exports(told, "/opt/spack/bin:/usr/bin") == [
        "export HELLO='a b'",
        'export PATH=/opt/views/view/bin:"$PATH"',
    ]


def test_times_of_installation_are_settled() -> None:
    index = {"database": {"installs": {"a": {"installation_time": 1.5}, "b": {"ref_count": 1}}}}
    assert settle(index, 7)["database"]["installs"] == {
        "a": {"installation_time": 7},
        "b": {"ref_count": 1},
    }


def test_programs_reach_the_shell_whole() -> None:
    """What ``program`` takes out of a file is still Python, with its main part."""
    from builder.recipe.quoting import program

    for name in ("activation", "database", "lock_check"):
        tree = ast.parse("\n".join(program(name)))
        assert isinstance(tree.body[-1], ast.If)
        assert isinstance(tree.body[0], ast.Import)
