"""Recipes in BuildKit's language (https://docs.docker.com/reference/dockerfile/). Pure.

The base image is called ``base`` and given by whoever builds, so a recipe names no registry; a
line ``# syntax=`` would fetch a parser from one, and BuildKit's own is enough. Secrets are mounted
where they were given, so the same recipe works where none is needed. Folders of the build context
are ``step``, ``catalog`` and ``spack``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from builder.recipe.model import IMAGE, SECRETS, Copy, Env, Label, Recipe, Run, Stage, Step
from builder.recipe.quoting import quote_exec, script, settled

TEST = "test"
# A line that is not the end of a command: it takes no `;` when lines are joined.
_GOES_ON = re.compile(r"(; (then|do)|^ *else|\{|\(|\||&&)$")
_PRIVATE = frozenset({"pipconf"})  # it may hold a password; apt and users need the others


def dockerfile(recipe: Recipe, cache_scope: str, *, buildah: bool = False) -> str:
    """Return the text of a recipe with the caches of a scope, ``main`` or ``pull-<n>``.

    Buildah 1.28 knows neither ``RUN --network`` nor private caches: with ``buildah``, whoever
    builds takes the network from the stage ``test``, and builds wait for each other's caches.
    """
    stages = list(recipe.stages)
    if recipe.tests:
        stages.append(Stage(TEST, recipe.checks, base=IMAGE))
    if buildah:
        stages = [replace(stage, steps=tuple(map(_for_buildah, stage.steps))) for stage in stages]
    lines: list[str] = []
    for stage in stages:
        lines += [*_stage(stage, recipe.epoch, cache_scope), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _for_buildah(step: Step) -> Step:
    if not isinstance(step, Run):
        return step
    caches = tuple(replace(cache, sharing="locked") for cache in step.caches)
    return replace(step, network=True, caches=caches)


def _stage(stage: Stage, epoch: int, scope: str) -> Iterator[str]:
    yield f"FROM {stage.base} AS {stage.name}"
    yield f"ARG SOURCE_DATE_EPOCH={epoch}"
    user = "root"
    for step in stage.steps:
        if isinstance(step, Run) and step.user != user:
            user = step.user
            yield f"USER {user}"
        yield (
            _placed(step) if isinstance(step, Copy) and stage.name == IMAGE else _step(step, scope)
        )
    if user != "root" and stage.name != TEST:
        yield "USER root"


def _step(step: Step, scope: str) -> str:
    match step:
        case Run():
            return _run(step, scope)
        case Copy():
            options = [f"--from={step.stage}"] if step.stage else []
            options += [f"--chown={step.owner}"] if step.owner else []
            return " ".join(["COPY", *options, f"[{_exec(step.source)}, {_exec(step.target)}]"])
        case Env():
            return f"ENV {step.name}={step.value}"
        case Label():
            return f"LABEL {_exec(step.name)}={_exec(step.value)}"


def _placed(copy: Copy) -> str:
    """Copy into the image by a script: COPY gives folders above the target the time of the build.

    What comes from the build context gets new times, what comes from a stage has them already.
    """
    is_folder = copy.source.endswith("/")
    lines = script(
        "copy",
        is_folder=is_folder,
        options="-a" if copy.stage else "-RP",
        target=copy.target,
        folder=str(PurePosixPath(copy.target).parent),
    )
    origin = f"from={copy.stage}," if copy.stage else ""
    source = _exec(copy.source.rstrip("/"))[1:-1]
    mount = f"--mount=type=bind,{origin}source={source},target=/run/from"
    title = "copy what was built" if copy.stage else "copy the folder of the step"
    return _command([mount], settled(lines), title)


def _exec(value: str) -> str:
    return quote_exec(value)


def _run(run: Run, scope: str) -> str:
    options = [] if run.network else ["--network=none"]
    for name in run.secrets:
        mode = "" if name in _PRIVATE else ",mode=0444"
        options.append(f"--mount=type=secret,id={name},target={SECRETS[name]}{mode}")
    for cache in run.caches:
        place = f"id={cache.identity(scope)},target={cache.folder},sharing={cache.sharing}"
        options.append(f"--mount=type=cache,{place}")
    return _command(options, run.lines, run.title)


def _command(options: list[str], lines: tuple[str, ...], title: str) -> str:
    """An instruction whose script begins by saying what it is for, and does nothing by that."""
    told = [f": '{title}';"] if title else []
    first, *rest = [*options, *told, *_joined(lines)]
    return " \\\n    ".join([f"RUN {first}", *rest])


def _joined(lines: tuple[str, ...]) -> Iterator[str]:
    """One command of several lines; BuildKit takes the line breaks out."""
    *before, last = lines
    for line in before:
        yield line if _GOES_ON.search(line) else f"{line};"
    yield last
