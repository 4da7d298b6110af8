"""Images by ``apptainer build`` alone, for machines that have no container engine.

The recipe's definition is built into a folder (https://apptainer.org/docs/user/latest/
build_a_container.html). Apptainer runs the scripts of a definition with the rights, files and
processes of whoever builds; as these scripts are of contributors, everything happens in user,
mount and PID namespaces of its own:

- Root's build gets 65536 users that nobody else has, and sees of our folders only its own.
- A user's build gets the user's numbers in /etc/subuid; without any, its root is the user and
  there are no others, so packages whose files belong to others cannot be installed.

Tests run when the image is done, without secrets and without a network. What is worse than with
BuildKit: there is no cache, and each script of a recipe can read all secrets of the build.
"""

from __future__ import annotations

import os
import platform
import pwd
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from builder import sif
from builder.backends.apptainer_output import build_failure, test_failure
from builder.backends.oci_layout import view
from builder.backends.seams import BuildContext, Built, Cancelled, LogLine, never
from builder.process import TimeLimitError, run
from builder.recipe.model import IMAGE, SECRETS, Copy, Label, Recipe
from builder.settings import BuilderSettings
from ci.errors import EntryError, SettingsError

_LAYOUT = "oci-layout://"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le"}
_KEPT_LINES = 200
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PLACE = "/mnt"  # where root's build finds its folder (Filesystem Hierarchy Standard)
# Numbers of users that nobody has: above those of containers (https://systemd.io/UIDS-GIDS/)
_FIRST_USER = 0x70000000
_ALONE = ("--net", "--network=none", "--contain", "--no-home", "--cleanenv", "--pwd=/")
_FORK = ("--mount", "--pid", "--fork", "--kill-child")
# for others than the owners, who are no users of this machine, to look into it and to remove it
_SETTLE = """
chown -hR 0:0 image && rm -rf image/run/secrets &&
find image -type d ! -perm -755 -exec chmod u+rwx,a+rx {} +
"""
# A process that takes another user forgets that it is to be killed when its parent dies (prctl(2)).
# unshare(1) asks newuidmap(1) for maps, which knows no such numbers; root may write them itself.
_AS_ROOT = rf"""
mount --make-rprivate / && mount --bind "$1" {_PLACE} && cd {_PLACE} || exit 70
shift
own=$(readlink /proc/self/ns/user)
( until [ "$(readlink /proc/$$/ns/user)" != "$own" ]; do sleep 0.02; done
  for map in gid_map uid_map; do echo 0 {_FIRST_USER} 65536 > /proc/$$/$map; done ) &
exec unshare --user {" ".join(_FORK)} --keep-caps sh -c '
  until grep -q . /proc/self/uid_map; do sleep 0.02; done
  exec setpriv --reuid=0 --regid=0 --clear-groups --pdeathsig=KILL -- \
    sh -c "mount -t proc proc /proc && exec \"\$@\"" sh "$@"' sh "$@"
"""


class Apptainer:
    """Apptainer on its own."""

    name = "apptainer"

    def __init__(self, settings: BuilderSettings) -> None:
        self._settings = settings
        self._as_root = os.geteuid() == 0

    def available(self) -> str:
        """Return nothing if Apptainer runs in namespaces of its own, else what is missing."""
        missing = sif.available(self._settings)
        if missing:
            return missing
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [*self._own_namespaces(Path(folder)), *self._settings.apptainer, "--version"],
                env={**os.environ, **self._settings.environment},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        told = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return f"apptainer gets no user namespace: {told}" if done.returncode else ""

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
        _check_platform(context.platform)
        end = time.monotonic() + timeout
        scratch = Path(tempfile.mkdtemp(prefix=".apptainer-", dir=folder)).resolve()
        try:
            inside = self._place(scratch)
            environment = sif.folders(self._settings, scratch)
            base = _prepare(context, scratch)
            recipe = _with_own_steps(context)
            (scratch / "definition").write_text(recipe.definition(base), "utf-8")
            program = [*self._own_namespaces(scratch), *self._settings.apptainer]
            own_tmp = ["--bind", f"{inside}/shared:/tmp"]
            argv = [*program, "build", "--sandbox", "--notest", *own_tmp]
            for name in context.secrets:
                argv += ["--bind", f"{inside}/given/{name}:{SECRETS[name]}"]
            if self._as_root:
                _give(scratch, _FIRST_USER)
            environment = {name: v.replace(str(scratch), inside) for name, v in environment.items()}
            work = (environment, scratch, log, end, cancelled)
            if told := self._run([*argv, "image", "definition"], *work):
                raise build_failure(told)
            test = [*program, "test", *_ALONE, *own_tmp, "image"]
            if recipe.tests and (told := self._run(test, *work)):
                raise test_failure(told)
            self._settle(scratch)
            (scratch / "image").rename(folder / "image")
            return Built(folder / "image", "sandbox")
        finally:
            _remove(self._own_namespaces(scratch), scratch)

    def _place(self, scratch: Path) -> str:
        """The name of our folder for Apptainer, whose lists of paths have these separators."""
        if not self._as_root and set(str(scratch)) & set(",:\\"):
            raise SettingsError(f"apptainer cannot build in a folder named {scratch}")
        return _PLACE if self._as_root else str(scratch)

    def _own_namespaces(self, scratch: Path) -> list[str]:
        """What goes before the program."""
        if self._as_root:
            return ["unshare", "--mount", "sh", "-c", _AS_ROOT, "sh", str(scratch)]
        numbers = ["--map-auto"] if _has_numbers() else []
        return ["unshare", "--user", "--map-root-user", *numbers, *_FORK, "--mount-proc", "--"]

    def _settle(self, scratch: Path) -> None:
        """Make us the owner of all files, and take out what only the build needed."""
        namespaces = [] if self._as_root else self._own_namespaces(scratch)
        done = subprocess.run(
            [*namespaces, "sh", "-c", _SETTLE],
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SettingsError(f"the image's files cannot be taken over: {done.stderr.strip()}")

    def _run(
        self,
        argv: Sequence[str],
        environment: dict[str, str],
        scratch: Path,
        log: LogLine,
        end: float,
        cancelled: Cancelled,
    ) -> list[str]:
        """Run it; return its last lines if it failed, else none."""
        lines: list[str] = []

        def take(piece: str) -> None:
            line = _COLOUR.sub("", piece).rstrip()
            lines.append(line)
            log(line)

        try:
            exit_code = run(
                argv,
                environment=environment,
                folder=scratch,
                on_output=take,
                timeout=max(end - time.monotonic(), 0.0),
                cancelled=cancelled,
                ending=signal.SIGKILL,  # of unshare, which takes the namespaces' processes along
            )
        except TimeLimitError as error:
            raise EntryError(
                "the build did not finish within its time limit",
                hint="ask for less software, or ask the operator for a longer time limit",
            ) from error
        return (lines or ["no reason given"])[-_KEPT_LINES:] if exit_code else []


def _check_platform(wanted: str) -> None:
    machine = platform.machine()
    own = f"linux/{_ARCHITECTURES.get(machine, machine)}"
    if "/".join(wanted.split("/")[:2]) != own:
        raise SettingsError(
            f"apptainer builds only for this machine's platform {own}, not for {wanted}",
            hint="set builder.backend to buildx, with an engine that can emulate it",
        )


def _has_numbers() -> bool:
    """Whether /etc/subuid (subuid(5)) has numbers for this user."""
    try:
        lines = Path("/etc/subuid").read_text("utf-8").splitlines()
        names = {pwd.getpwuid(os.geteuid()).pw_name, str(os.geteuid())}
    except (OSError, KeyError):
        return False
    return any(line.split(":")[0] in names for line in lines) and bool(shutil.which("newuidmap"))


def _prepare(context: BuildContext, scratch: Path) -> str:
    """Put in place what the definition names; return the base image as it names it."""
    for name, source in context.files.items():
        if source.is_dir():
            shutil.copytree(source, scratch / name, symlinks=True)
        else:
            shutil.copy2(source, scratch / name)
    (scratch / "shared").mkdir()
    (scratch / "shared").chmod(0o1777)
    for folder in ("given", "secrets"):
        (scratch / folder).mkdir()
    for name, path in context.secrets.items():
        shutil.copyfile(path, scratch / "given" / name)
        # a password may be in it; other users of a build need the others
        (scratch / "given" / name).chmod(0o400 if name == "pipconf" else 0o444)
        (scratch / "secrets" / Path(SECRETS[name]).name).touch()  # what it is bound over
    if not context.base.startswith(_LAYOUT):
        return context.base
    layout, _, digest = context.base.removeprefix(_LAYOUT).partition("@")
    view(Path(layout), digest, scratch / "base")
    with tarfile.open(scratch / "base.tar", "w", dereference=True) as tar:
        for name in ("oci-layout", "index.json", "blobs"):
            tar.add(scratch / "base" / name, name)
    return "oci-archive:base.tar"


def _with_own_steps(context: BuildContext) -> Recipe:
    """The recipe with what a backend adds: places for secrets, and labels."""
    stages = list(context.recipe.stages)
    if context.secrets:
        places = Copy("secrets/", "/run/secrets/")
        stages = [replace(stage, steps=(places, *stage.steps)) for stage in stages]
    labels = tuple(Label(name, value) for name, value in context.labels.items())
    stages = [
        replace(stage, steps=(*stage.steps, *labels)) if stage.name == IMAGE else stage
        for stage in stages
    ]
    return replace(context.recipe, stages=tuple(stages))


def _give(folder: Path, owner: int) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner, owner, follow_symlinks=False)


def _remove(namespaces: Sequence[str], scratch: Path) -> None:
    """Remove a folder in which others than us may own files, and folders be read-only."""
    shutil.rmtree(scratch, ignore_errors=True)
    if scratch.exists():
        script = 'chmod -R u+rwX -- "$1"; rm -rf -- "$1"'
        subprocess.run(
            [*namespaces, "sh", "-c", script, "sh", str(scratch)],
            cwd=scratch.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
