"""Recipes in Apptainer's language (https://apptainer.org/docs/user/latest/definition_files.html).

The same stages as for BuildKit. What Apptainer has no word for: secrets are to be bound where
``SECRETS`` says (``apptainer build --bind``), caches do not exist, all files come before the first
script, and tests are the image's ``%test``. The build context is the working directory. Pure.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from builder.recipe.model import IMAGE, Copy, Env, Label, Recipe, Run, Stage
from builder.recipe.quoting import quote, quote_exec
from ci.errors import SettingsError

_BASE = re.compile(r"(docker|library|oci|oci-archive|oras|shub|localimage):(\S+)", re.ASCII)
# as `docker buildx build --build-context base=…` names them
_BUILDX = {"docker-image://": "docker:", "oci-layout://": "oci:"}
_AS_ROOT = "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"


def definition(recipe: Recipe, base: str) -> str:
    """Return the text of a recipe.

    Args:
        recipe: what to build.
        base: the base image as ``agent:reference`` (``oci-archive:/…/base.tar``,
            ``localimage:/…/base.sif``, ``docker:debian@sha256:…``) or as buildx names it.

    Raises:
        SettingsError: Apptainer has no such kind of base image.
    """
    agent, reference = _bootstrap(base)
    lines: list[str] = []
    for stage in recipe.stages:
        lines += [f"Bootstrap: {agent}", f"From: {reference}", f"Stage: {stage.name}", ""]
        lines += _files(stage)
        lines += ["%post", *_indented(_post(stage, recipe.epoch)), ""]
        if stage.name == IMAGE:
            lines += _about(stage)
    if recipe.tests:
        lines += ["%test", *_indented(_tests(recipe.checks)), ""]
    return "\n".join(lines)


def _bootstrap(base: str) -> tuple[str, str]:
    for prefix, agent in _BUILDX.items():
        if base.startswith(prefix):
            base = agent + base.removeprefix(prefix)
    found = _BASE.fullmatch(base)
    if not found or "{{" in base:
        raise SettingsError(
            f"Apptainer cannot begin with the base image {base!r}",
            hint="oci-archive:PATH, localimage:PATH or docker:NAME",
        )
    return found[1], found[2]


def _files(stage: Stage) -> Iterator[str]:
    """Sections ``%files``; a folder's contents are copied by naming both without a slash."""
    origin = None
    for step in stage.steps:
        if not isinstance(step, Copy):
            continue
        if step.stage != origin:
            yield f"%files from {step.stage}" if step.stage else "%files"
            origin = step.stage
        yield f"    {_path(step.source)} {_path(step.target)}"
    yield ""


def _path(path: str) -> str:
    return quote_exec(path.rstrip("/"))[1:-1]


def _post(stage: Stage, epoch: int) -> Iterator[str]:
    yield "set -e"
    yield f"export SOURCE_DATE_EPOCH={epoch}"
    for step in stage.steps:
        match step:
            case Run():
                yield from _script(step)
            case Env():
                yield f"export {step.name}={step.value}"
            case Copy() if step.owner:
                yield f"chown -R {quote(step.owner)} {quote(step.target)}"
            case _:
                pass


def _script(run: Run) -> Iterator[str]:
    """A script in a process of its own, since it may change directory, or exit."""
    if run.user == "root":
        yield from ("(", *run.lines, ")")
    else:
        user = quote(run.user)
        command = shlex.quote("\n".join(run.lines))
        yield f"setpriv --reuid={user} --regid={user} --init-groups sh -c {command}"


def _about(stage: Stage) -> Iterator[str]:
    variables = [step for step in stage.steps if isinstance(step, Env)]
    if variables:
        yield from ("%environment", *(f"    export {env.name}={env.value}" for env in variables))
        yield ""
    yield "%labels"
    for label in stage.steps:
        if isinstance(label, Label):
            yield f"    {label.name} {quote_exec(label.value)[1:-1]}"
    yield ""


def _tests(checks: tuple[Run, ...]) -> Iterator[str]:
    """Tests run as root at the end of a build; each gives up its rights where it can."""
    yield "as=; number=65534"
    yield 'if [ "$(id -u)" = 0 ] && setpriv --reuid=$number --clear-groups true 2>/dev/null; then'
    yield 'as="setpriv --reuid=$number --regid=$number --clear-groups"'
    yield "fi"
    yield f'if [ -z "$as" ]; then {_AS_ROOT}; fi'
    for run in checks:
        yield f"$as sh -c {shlex.quote(chr(10).join(run.lines))} || exit 1"


def _indented(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield from (f"    {part}" for part in line.split("\n"))
