import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.recipe import quote, quote_exec, render
from builder.recipe.model import Copy, Label, Run
from ci.errors import EntryError
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

HOSTILE = [
    "$(id)",
    "`id`",
    "'; id; '",
    '"; id; "',
    "a && id",
    "a\\",
    "<<EOF",
    "# x",
    "${PATH}",
    "* ~",
]


def text(step: str = "simulate", target: Target | None = None, **fields: object) -> str:
    environment = SoftwareEnvironment(**fields)  # type: ignore[arg-type]
    return render(environment, target or Target(), step).text


def commands(recipe: str) -> list[str]:
    """The instructions, with continued lines joined as BuildKit joins them."""
    joined = recipe.replace(" \\\n    ", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]


def shell(recipe: str) -> list[str]:
    """The shell text of each RUN, without its mounts."""
    found = []
    for line in commands(recipe):
        if line.startswith("RUN "):
            rest = line.removeprefix("RUN ").lstrip()
            while rest.startswith(("--mount", "--network")):
                rest = rest.partition(" ")[2].lstrip()
            found.append(rest)
    return found


def test_a_step_without_software_is_its_folder() -> None:
    recipe = render(SoftwareEnvironment(), Target(), "simulate")
    (stage,) = recipe.stages
    assert [step for step in stage.steps if not isinstance(step, Label)] == [
        Copy("step/", "/simulate/")
    ]
    assert commands(recipe.text)[0] == "FROM base AS image"
    assert not recipe.uses_catalog


def test_packages_are_installed_before_the_folder_is_copied() -> None:
    recipe = text(apt=("grace",), pip=("six>=1",))
    apt, pip = recipe.index("grace"), recipe.index("'six>=1'")
    assert apt < pip < recipe.index("source=step,")
    assert "python3-venv" in recipe
    assert "--system-site-packages" in recipe
    assert "/etc/apt/sources" not in recipe


def test_scripts_of_the_step_are_kept_and_run() -> None:
    recipe = text(post_install="post_inst.sh", env_script="env.sh")
    assert "cp -RP /run/from /.singularity.d/env/96-step.sh" in recipe
    assert recipe.index("source=step,") < recipe.index("cd /simulate; \\\n    ./post_inst.sh")


def test_no_recipe_fetches_a_frontend_or_keeps_a_secret() -> None:
    recipe = text(apt=("a1",), pip=("b",), post_install="post_inst.sh")
    assert "syntax=" not in recipe
    for line in commands(recipe):
        assert not (line.startswith(("ENV", "COPY", "LABEL")) and "secrets" in line)


def test_the_target_reaches_compilers_and_labels() -> None:
    recipe = text(pip=("six",), target=Target(microarchitecture="zen3", mpi="openmpi@4"))
    assert "-march=znver3" in recipe
    assert 'LABEL "org.hpcwaas.microarchitecture"="zen3"' in recipe
    assert 'LABEL "org.hpcwaas.mpi"="openmpi@4"' in recipe


def test_easybuild_builds_in_a_stage_of_its_own() -> None:
    recipe = text(easybuild=("hellohpc-1.0.eb",), target=Target(microarchitecture="zen3"))
    assert recipe.startswith("FROM base AS builder-easybuild")
    assert "--optarch='GCC:march=znver3 -mtune=znver3'  hellohpc-1.0.eb" in recipe
    assert "USER easybuild" in recipe.partition("\nFROM base AS image\n")[0]


def test_spack_requires_the_target() -> None:
    target = Target(microarchitecture="zen3", mpi="openmpi@4")
    recipe = render(
        SoftwareEnvironment(spack=("kratos@9.4 apps=A,B",)),
        target,
        "rom",
        catalog_has_repository=True,
    )
    assert recipe.uses_catalog
    words = shlex.split(next(line for line in shell(recipe.text) if "spack.yaml" in line))
    document = [word for word in words if word.startswith("  ")]
    assert '  packages: {"all": {"require": ["target=zen3"]}, "mpi": ' in document[3] + document[2]
    assert any('"kratos@9.4 apps=A,B"' in line for line in document)
    assert any("/opt/catalog" in line for line in document)
    assert "clone --quiet" in recipe.text


def test_a_local_spack_is_copied_instead_of_cloned() -> None:
    recipe = render(SoftwareEnvironment(spack=("zlib",)), Target(), "s", spack_checkout=True).text
    assert 'COPY ["spack/", "/opt/spack/"]' in recipe
    assert "clone --quiet" not in recipe


def test_the_check_of_the_lock_names_what_is_not_for_the_target(tmp_path: Path) -> None:
    steps = render(SoftwareEnvironment(spack=("zlib",)), Target(microarchitecture="zen3"), "s")
    line = next(
        line
        for step in steps.stages[0].steps
        if isinstance(step, Run)
        for line in step.lines
        if "concrete_specs" in line
    )
    specs = {
        "a": {"name": "zlib", "arch": {"target": {"name": "zen3"}}},
        "b": {"name": "gmake", "arch": {"target": "x86_64"}},
    }
    lock = tmp_path / "spack.lock"
    lock.write_text(json.dumps({"concrete_specs": specs}))
    argv = ["sh", "-c", line.replace("/opt/environment/spack.lock", str(lock))]
    bad = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert bad.returncode
    assert "gmake" in bad.stderr
    assert "zlib" not in bad.stderr
    del specs["b"]
    lock.write_text(json.dumps({"concrete_specs": specs}))
    subprocess.run(argv, check=True)


def test_spack_and_easybuild_have_a_stage_each() -> None:
    lines = commands(text(spack=("zlib",), easybuild=("a-1.eb",), pip=("six",)))
    stages = [line for line in lines if line.startswith("FROM ")]
    assert stages == [
        "FROM base AS builder-easybuild",
        "FROM base AS builder-spack",
        "FROM base AS image",
    ]
    used = {name for line in lines for name in re.findall(r"bind,from=([a-z-]+),", line)}
    assert used == {"builder-easybuild", "builder-spack"}


@pytest.mark.parametrize("step", ["", "..", "etc", "usr", "a b", "a/b", "-x", "a\nb", "$(id)", "ä"])
def test_steps_that_would_harm_the_image_are_refused(step: str) -> None:
    with pytest.raises(EntryError):
        text(step)


@pytest.mark.parametrize("kind", ["apt", "spack", "easybuild"])
@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_reaches_a_shell_as_more_than_a_word(kind: str, value: str) -> None:
    """Even values that the reader would refuse stay one word."""
    calm = shell(text(**{kind: ("harmless",)}))
    wild = shell(text(**{kind: (value,)}))
    for before, after in zip(calm, wild, strict=True):
        words = shlex.split(before)
        escaped = json.dumps(value)[1:-1] if kind == "spack" else value
        assert shlex.split(after) == [word.replace("harmless", escaped) for word in words]


@pytest.mark.parametrize("kind", ["apt", "pip", "easybuild", "spack"])
@pytest.mark.parametrize("break_", ["\n", "\r", "\x00", "\x0b", "\u2028", "\x1b"])
def test_a_line_break_never_gets_into_a_recipe(kind: str, break_: str) -> None:
    value = f"a{break_}RUN id"
    try:
        recipe = text(**{kind: (value,)})
    except EntryError:
        return
    assert kind == "spack"  # there it is inside a JSON string, escaped
    assert "\nRUN id" not in recipe


@given(st.text(min_size=1))
def test_quoting_gives_the_word_back(value: str) -> None:
    try:
        quoted = quote(value)
    except EntryError:
        assert not value.isprintable()
    else:
        assert shlex.split(quoted) == [value]


@pytest.mark.parametrize("value", ["$HOME", "a\\b", "a\nb", "ü"])
def test_exec_forms_take_plain_text_only(value: str) -> None:
    with pytest.raises(EntryError):
        quote_exec(value)
