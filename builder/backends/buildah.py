"""Images by ``buildah build`` (https://github.com/containers/buildah), without daemon or root.

Written for Buildah 1.28, Debian 12's. Steps run with ``--isolation chroot``, which needs no
program beside it and no right to make containers. Layers are not cached from build to build:
1.28 takes a cached step for the same when the files that it mounts have changed.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.backends import loopback, oci_layout
from builder.backends.buildah_store import BuildahStore, Room, apart, quick
from builder.backends.emulation import explained
from builder.backends.faults import failed
from builder.backends.files import place
from builder.backends.progress import PlainProgress
from builder.backends.seams import BuildContext, Built, Cancelled, LogLine, never
from builder.process import TimeLimitError, run
from builder.recipe.dockerfile import TEST
from builder.recipe.model import BASE, IMAGE
from builder.settings import BuilderSettings
from ci.errors import EntryError, SettingsError

_LAYOUT = "oci-layout://"
_REGISTRY = "docker-image://"
_MADE = "made"  # the layout with the image, and the name of the image when it is tested
_HOST_POLICY = Path("/etc/containers/policy.json")


@dataclass(frozen=True, slots=True)
class _Work:
    """One build: what is to be made, where, until when (monotonic seconds), and who listens."""

    context: BuildContext
    folder: Path
    room: Room
    log: LogLine
    end: float
    cancelled: Cancelled


class Buildah:
    """Buildah of this user; several of these may share one folder."""

    name = "buildah"

    def __init__(self, settings: BuilderSettings) -> None:
        self._store = BuildahStore(settings.work / "buildah", dict(settings.environment))
        self._epoch = settings.source_date_epoch
        self._program_path = settings.environment.get("PATH")

    def available(self) -> str:
        """Return nothing if images can be built here, else what is missing."""
        for program, package in (("buildah", "buildah"), ("unshare", "util-linux")):
            if not shutil.which(program, path=self._program_path):
                return f"there is no program {program} (Debian's package {package})"
        try:
            done = quick([*apart(), "buildah", "--version"], self._store.environment)
        except SettingsError as error:
            return str(error)
        if done.returncode:
            told = done.stderr.strip().splitlines() or ["no reason given"]
            return f"buildah cannot have namespaces of its own: {told[-1]}"
        return ""

    def build(
        self,
        context: BuildContext,
        folder: Path,
        log: LogLine,
        *,
        timeout: float,
        cancelled: Cancelled = never,
    ) -> Built:
        """See ``builder.backends.seams.ImageBuilder.build``."""
        end = time.monotonic() + timeout
        missing = self.available()
        if missing:
            raise SettingsError(missing)
        scratch = Path(tempfile.mkdtemp(prefix=".buildah-", dir=folder)).resolve()
        try:
            self._prepare(context, scratch)
            with self._store.room() as room:
                work = _Work(context, scratch, room, log, end, cancelled)
                base = self._base(work)
                with explained(context.platform):
                    self._make(work, base)
                if context.recipe.tests:
                    self._test(work, base)
            digest = oci_layout.settle(scratch / _MADE, self._epoch)
            oci_layout.archive(scratch / _MADE, scratch / "image.tar")
            (scratch / "image.tar").rename(folder / "image.tar")
            return Built(folder / "image.tar", "oci-archive", digest)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _prepare(self, context: BuildContext, scratch: Path) -> None:
        (scratch / "context").mkdir()
        (scratch / "secrets").mkdir()
        text = context.recipe.dockerfile(context.cache_scope, buildah=True)
        (scratch / "recipe").write_text(text, "utf-8")
        for name, source in context.files.items():
            place(source, scratch / "context" / name)
        for name, source in context.secrets.items():
            # an option `--secret` splits at commas: give the file a name without any
            (scratch / "secrets" / name).symlink_to(source.absolute())

    def _base(self, work: _Work) -> str:
        """Take the base image into the store; return its name there."""
        reference, _, digest = work.context.base.partition("@")
        platform = _platform(work.context)
        slug = platform.replace("/", "-")
        name = f"base-{digest.removeprefix('sha256:')[:32]}-{slug}"
        pull = ["pull", "--quiet", f"--platform={platform}"]
        if reference.startswith(_LAYOUT):
            oci_layout.view(Path(reference.removeprefix(_LAYOUT)), digest, work.folder / name)
            pull += [f"--signature-policy={work.room.policy}", f"oci:{name}"]
            self._tool(work, work.room.buildah_of_bases(*pull), "take the base image")
            return f"localhost/{name}"
        inspect = work.room.buildah_of_bases("inspect", "--type=image", f"localhost/{name}")
        if quick(inspect, work.room.environment).returncode:
            if not _HOST_POLICY.exists():
                pull.append(f"--signature-policy={work.room.policy}")
            image = f"{_untagged(reference.removeprefix(_REGISTRY))}@{digest}"
            argv = work.room.buildah_of_bases(*pull, f"docker://{image}")
            found = self._tool(work, argv, "fetch the base image")[-1]
            tag = work.room.buildah_of_bases("tag", found, f"localhost/{name}")
            self._tool(work, tag, "name the base image")
        return f"localhost/{name}"

    def _make(self, work: _Work, base: str) -> None:
        labels = [f"--label={name}={value}" for name, value in work.context.labels.items()]
        bases = [f"--build-context={BASE}={_REGISTRY}{base}"]
        argv = self._build(work, IMAGE, [*bases, *labels, f"--tag=oci:{_MADE}:latest"])
        self._step(work, work.room.buildah(*argv))

    def _test(self, work: _Work, base: str) -> None:
        """Run the tests on what was made, without a network; nothing of them is kept."""
        view = "tested"
        found = oci_layout.only_digest(work.folder / _MADE)
        oci_layout.view(work.folder / _MADE, found, work.folder / view)
        policy = f"--signature-policy={work.room.policy}"
        pull = work.room.buildah("pull", "--quiet", policy, f"oci:{view}")
        self._tool(work, pull, "take the image to its tests")
        bases = [f"--build-context={BASE}={_REGISTRY}{base}"]
        bases.append(f"--build-context={IMAGE}={_REGISTRY}localhost/{view}")
        command = work.room.buildah(*self._build(work, TEST, bases), network=False)
        cut = command.index("--") + 1
        up = [sys.executable, "-I", loopback.__file__]
        self._step(work, [*command[:cut], *up, *command[cut:]])

    def _build(self, work: _Work, stage: str, options: Sequence[str]) -> list[str]:
        """The arguments. Secrets appear as paths only; names come from us, never from entries."""
        arguments = ["build", "--isolation=chroot", "--network=host", "--pull=never"]
        arguments += [f"--signature-policy={work.room.policy}", "--identity-label=false"]
        arguments += [f"--platform={_platform(work.context)}", "--file=recipe", f"--target={stage}"]
        arguments += [f"--secret=id={name},src=secrets/{name}" for name in work.context.secrets]
        return [*arguments, *options, "context"]

    def _step(self, work: _Work, argv: list[str]) -> None:
        progress = PlainProgress()
        if not self._run(work, argv, _telling(progress, work.log)):
            return
        step = progress.step_name()
        if step:
            raise failed(progress.reason(), step, progress.lines())
        raise SettingsError(f"the image builder failed: {progress.reason()}")

    def _tool(self, work: _Work, argv: list[str], what: str) -> list[str]:
        """Run what is no step of the recipe; return its lines."""
        lines: list[str] = []
        if self._run(work, argv, lambda piece: lines.append(piece.strip())):
            told = lines[-1] if lines else "no reason given"
            raise SettingsError(f"buildah cannot {what}: {told}")
        return lines or [""]

    def _run(self, work: _Work, argv: list[str], on_output: Callable[[str], None]) -> int:
        try:
            return run(
                argv,
                environment=work.room.environment,
                folder=work.folder,
                on_output=on_output,
                timeout=max(work.end - time.monotonic(), 0.0),
                cancelled=work.cancelled,
                ending=signal.SIGKILL,
            )
        except TimeLimitError as error:
            raise EntryError(
                "the build did not finish within its time limit",
                hint="ask for less software, or ask the operator for a longer time limit",
            ) from error


def _telling(progress: PlainProgress, log: LogLine) -> Callable[[str], None]:
    def take(piece: str) -> None:
        for line in progress.feed(piece):
            log(line)

    return take


def _platform(context: BuildContext) -> str:
    """Leave amd64's variant out: for Buildah, an image of another variant is none at all."""
    system, _, rest = context.platform.partition("/")
    architecture, _, variant = rest.partition("/")
    keep = variant and architecture != "amd64"
    return "/".join([system, architecture, *([variant] if keep else [])])


def _untagged(image: str) -> str:
    """Leave the tag out: a digest says more, and Buildah takes only one of them."""
    folder, slash, name = image.rpartition("/")
    return f"{folder}{slash}{name.partition(':')[0]}"
