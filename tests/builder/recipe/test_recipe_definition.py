import re
import subprocess

import pytest

from builder.recipe import SECRETS, render
from builder.recipe.definition import definition
from ci.errors import SettingsError
from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from ci.workflow_settings import ImageTest

EVERYTHING = SoftwareEnvironment(
    apt=("a1",),
    pip=("six",),
    spack=("zlib",),
    easybuild=("a-1.eb",),
    post_install="post_inst.sh",
    env_script="env.sh",
)


def text() -> str:
    tests = (ImageTest("import", ("six",)), ImageTest("run", ("it's", "$(id)")))
    return render(EVERYTHING, Target(), "sim", tests=tests).definition("oci-archive:/b.tar")


def sections(recipe: str) -> list[tuple[str, str]]:
    """Each section's name and body; the head of a stage is a section too."""
    parts = re.split(r"(?m)^(%\w.*|Bootstrap: .*)$", recipe)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def test_every_stage_begins_with_the_base() -> None:
    heads = re.findall(r"(?m)^Bootstrap: (.*)\nFrom: (.*)\nStage: (.*)$", text())
    assert heads == [
        ("oci-archive", "/b.tar", "builder-easybuild"),
        ("oci-archive", "/b.tar", "builder-spack"),
        ("oci-archive", "/b.tar", "image"),
    ]


def test_every_script_is_one_that_a_shell_understands() -> None:
    found = [(name, body) for name, body in sections(text()) if name in {"%post", "%test"}]
    assert [name for name, _ in found] == ["%post", "%post", "%post", "%test"]
    for name, body in found:
        subprocess.run(["bash", "-n"], input=body, text=True, check=True)
        subprocess.run(["sh", "-n"], input=body, text=True, check=True)
        assert body.count("\n") > 3, name


def test_files_come_from_the_context_and_from_stages() -> None:
    files = [(name, body.split()) for name, body in sections(text()) if name.startswith("%files")]
    assert files[0] == ("%files", ["catalog", "/src/catalog"])
    from_stages = [name for name, _ in files if "from" in name]
    assert from_stages == ["%files from builder-easybuild", "%files from builder-spack"]
    assert files[-1][1] == ["step/env.sh", "/.singularity.d/env/96-step.sh", "step", "/sim"]


def test_labels_and_variables_are_those_of_the_dockerfile() -> None:
    found = dict(sections(text()))
    assert "org.hpcwaas.microarchitecture x86_64" in found["%labels"]
    assert "org.opencontainers.image.title sim" in found["%labels"]
    assert "export PATH=/opt/venv/bin:$PATH" in found["%environment"]


def test_secrets_are_looked_for_where_they_are_said_to_be() -> None:
    recipe = text()
    assert all(path in recipe for path in SECRETS.values())
    assert "--mount" not in recipe


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ("docker-image://debian@sha256:0", "Bootstrap: docker\nFrom: debian@sha256:0"),
        ("oci-layout:///b@sha256:0", "Bootstrap: oci\nFrom: /b@sha256:0"),
        ("localimage:/b.sif", "Bootstrap: localimage\nFrom: /b.sif"),
    ],
)
def test_bases_have_apptainers_names(base: str, head: str) -> None:
    assert head in render(SoftwareEnvironment(), Target(), "s").definition(base)


@pytest.mark.parametrize("base", ["", "base", "yum:x", "docker:a\n%post", "docker:{{ x }}"])
def test_other_bases_are_refused(base: str) -> None:
    with pytest.raises(SettingsError, match="base image"):
        definition(render(SoftwareEnvironment(), Target(), "s"), base)


def test_without_tests_there_is_no_section_of_them() -> None:
    assert "%test" not in render(EVERYTHING, Target(), "s").definition("docker:b")
