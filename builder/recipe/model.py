"""A recipe as data: stages of steps. What is written out of it is in the renderers.

Texts in steps come from us, or went through ``builder.recipe.quoting``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType

MAIN_SCOPE = "main"
BASE = "base"  # the name of the base image, which whoever builds gives
IMAGE = "image"  # the stage that becomes the image
_SCOPE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)

# Secret id → where a script finds it, if it was given. apt reads *.sources as deb822 only.
SECRETS = MappingProxyType(
    {
        "aptconf": "/run/secrets/aptconf",
        "aptsources": "/run/secrets/apt.sources",
        "ca": "/run/secrets/ca",
        "pipconf": "/run/secrets/pipconf",
    }
)


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder that outlives a build.

    ``scoped``: what runs beside it comes from contributors, so pull requests get caches of their
    own. ``sharing`` is BuildKit's: ``locked`` (one after the other) or ``private`` (one each).
    """

    name: str
    folder: str
    scoped: bool = True
    sharing: str = "private"

    def identity(self, scope: str) -> str:
        """Return the name of the cache for builds of this scope."""
        if not _SCOPE.fullmatch(scope):
            raise ValueError(f"{scope!r} is no scope of builds")
        return f"{self.name}-{scope}" if self.scoped else self.name


@dataclass(frozen=True, slots=True)
class Run:
    """A POSIX shell script, by default as root. ``secrets`` are ids, ``user`` a name or number.

    ``title`` says in a few plain words what it is for: what people read when it runs or fails.
    """

    lines: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    caches: tuple[Cache, ...] = ()
    network: bool = True
    user: str = "root"
    title: str = ""


@dataclass(frozen=True, slots=True)
class Copy:
    """Copy a file or a folder's contents from the build context, or from an earlier stage."""

    source: str
    target: str
    stage: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Env:
    """A variable of the stage and of images; ``$PATH`` in the value is expanded."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Label:
    """A label of the image; both are plain ASCII text."""

    name: str
    value: str


Step = Run | Copy | Env | Label


@dataclass(frozen=True, slots=True)
class Stage:
    """Steps upon a base: the base image, or an earlier stage."""

    name: str
    steps: tuple[Step, ...]
    base: str = BASE


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image is built from. The last stage is the image's; ``checks`` come after it.

    ``uses_catalog`` says that the folder ``catalog`` is copied; ``epoch`` is SOURCE_DATE_EPOCH in
    seconds since 1970.
    """

    stages: tuple[Stage, ...]
    epoch: int
    uses_catalog: bool = False
    checks: tuple[Run, ...] = ()

    @property
    def tests(self) -> bool:
        """Whether there is a stage ``test``, which must succeed before the image is taken."""
        return bool(self.checks)

    @property
    def trusts_caches(self) -> bool:
        """Whether it takes what earlier builds of contributors left in a cache of their scope."""
        runs = (step for stage in self.stages for step in stage.steps if isinstance(step, Run))
        return any(cache.scoped for run in runs for cache in run.caches)

    @property
    def text(self) -> str:
        """The recipe as people see it, and as it counts for the content key."""
        return self.dockerfile()

    def dockerfile(self, cache_scope: str = MAIN_SCOPE, *, buildah: bool = False) -> str:
        """Return it in BuildKit's language, with the caches of ``main`` or ``pull-<n>``.

        With ``buildah``, in the part of it that Buildah 1.28 knows.
        """
        from builder.recipe.dockerfile import dockerfile

        return dockerfile(self, cache_scope, buildah=buildah)

    def definition(self, base: str) -> str:
        """Return it in Apptainer's language; see ``builder.recipe.definition.definition``."""
        from builder.recipe.definition import definition

        return definition(self, base)
