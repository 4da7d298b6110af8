"""No value of a contributor is more than a word to a shell, in either language of recipes."""

import json
import shlex
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.recipe import Recipe, render
from builder.recipe.model import Run
from ci.errors import EntryError
from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from ci.workflow_settings import ImageTest

CALM = "harmless"
WORDS = st.text(min_size=1, max_size=40) | st.sampled_from(
    [
        "; rm -rf /",
        "$(id)",
        "`id`",
        "a\nRUN id",
        "--opt=x",
        "'; id; '",
        '"; id; "',
        "{{ value }}",
        "{% raw %}",
        "{{{{",
        "# x",
        "ünï",
        "then",
        "do",
        "else",
        "<<EOF",
        "a\\",
        "%post",
        "|",
        "&&",
    ]
)


def made(kind: str, value: str) -> Recipe:
    fields: dict[str, Any] = {}
    tests: tuple[ImageTest, ...] = ()
    if kind == "run":
        tests = (ImageTest("run", ("echo", value)),)
    elif kind == "contains":
        tests = (ImageTest("version", ("echo",), value),)
    else:
        fields[kind] = (value,)
    return render(SoftwareEnvironment(**fields), Target(), "s", tests=tests)


def scripts(recipe: Recipe) -> list[str]:
    """All scripts, as lines and as the Dockerfile joins them."""
    runs = [step for stage in recipe.stages for step in stage.steps if isinstance(step, Run)]
    found = ["\n".join(run.lines) for run in (*runs, *recipe.checks)]
    for instruction in recipe.text.replace(" \\\n", " ").splitlines():
        if instruction.startswith("RUN "):
            rest = instruction.removeprefix("RUN ").strip()
            while rest.startswith("--"):
                rest = rest.partition(" ")[2].strip()
            found.append(rest)
    return found


def refused(text: str) -> bool:
    """Whether the shell finds a mistake in the text."""
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
    return bool(done.returncode)


@pytest.mark.parametrize("kind", ["apt", "pip", "spack", "easybuild", "run", "contains"])
@given(value=WORDS)
def test_a_value_stays_one_word(kind: str, value: str) -> None:
    try:
        wild = made(kind, value)
    except EntryError:
        return
    inside = json.dumps(value)[1:-1] if kind == "spack" else value
    for before, after in zip(scripts(made(kind, CALM)), scripts(wild), strict=True):
        expected = [word.replace(CALM, inside) for word in shlex.split(before)]
        if kind == "easybuild":  # its stem is a word of its own
            expected = [
                word.removesuffix(".eb") if word == value and index else word
                for index, word in enumerate(expected)
            ]
            words = [w.removesuffix(".eb") if w == value else w for w in shlex.split(after)]
        else:
            words = shlex.split(after)
        if len(value) < 150:  # the name of a test is cut
            assert words == expected


@pytest.mark.parametrize("value", ["; rm -rf /", "$(id)", "then", "do", "a'b", "{{ x }}", "a|"])
@pytest.mark.parametrize("kind", ["apt", "spack", "easybuild", "run", "contains"])
def test_every_script_is_one_that_a_shell_understands(kind: str, value: str) -> None:
    assert not [text for text in scripts(made(kind, value)) if refused(text)]
    assert refused("if true; then")  # so this test can fail


@pytest.mark.parametrize("kind", ["apt", "spack", "easybuild", "run", "contains"])
@pytest.mark.parametrize("value", ["{{ x }}", "{{{{ x }}}}", "{{x"])
def test_apptainer_finds_no_template_in_a_value(kind: str, value: str) -> None:
    assert "{{" not in made(kind, value).definition("docker:base")


@pytest.mark.parametrize(
    "line", ["-r other", "--index-url=http://x", "a\\", "${HOME}", "# x", "./a", "/a", "a ${X}"]
)
def test_only_requirements_stand_in_the_requirements(line: str) -> None:
    with pytest.raises(EntryError, match="requirement"):
        made("pip", line)
