"""git as a server of one of our repositories: what a stranger's client may make it do.

The client's environment is gone but for the version of the protocol; no configuration of the
account or the machine counts; files, memory and time are limited. The hooks of the repository
run: they are ours. https://git-scm.com/docs/git-http-backend, gitprotocol-v2.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ci.errors import EntryError, SettingsError
from ci.git.process import Permit, git_environment, git_output
from ci.git.writing import held_refs, remove_left_locks, remove_left_objects

SERVICES = ("git-upload-pack", "git-receive-pack")
LARGEST_FILE = 1_000_000_000  # bytes: a pack, with its bases
_ADDRESS_SPACE = 4 * 1024**3  # bytes
_CPU_SECONDS = 600
_SILENT_SECONDS = 300
_LARGEST_PACK = 2**40  # bytes: all that was ever pushed
_TIDY_SECONDS = 900.0
_LEFT_SECONDS = 86_400.0  # no push lasts so long
_PROTOCOL = re.compile(r"[a-z0-9=:.-]{1,100}")


def tidy(git_dir: Path) -> None:
    """Put many packs and references into few, and remove what killed pushes left behind.

    Every push leaves a pack. Loses nothing, and pushes may come meanwhile; idempotent. Raises
    ``EntryError``: damaged.
    """
    remove_left_locks(git_dir, held_refs(git_dir), _LEFT_SECONDS)
    remove_left_objects(git_dir, _LEFT_SECONDS)
    permit = Permit(file_size=_LARGEST_PACK, seconds=_TIDY_SECONDS, cpu=_CPU_SECONDS)
    for arguments in (("repack", "-d", "-q", "--geometric=2"), ("pack-refs", "--all")):
        code, _ = git_output(git_dir, *arguments, permit=permit)
        if code:
            raise EntryError(f"git cannot tidy {git_dir.name}", hint="it may be damaged")


def environment(
    user: str, right: str, protocol: str = "", variables: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The whole environment of a serving git, and so of our hooks.

    ``WAAS_USER`` and ``WAAS_RIGHT`` tell the hooks who pushes and what they may do.
    """
    made = git_environment() | {"WAAS_USER": user, "WAAS_RIGHT": right}
    del made["GIT_OPTIONAL_LOCKS"], made["GIT_ATTR_NOSYSTEM"]
    if _PROTOCOL.fullmatch(protocol):
        made["GIT_PROTOCOL"] = protocol
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):  # of this program, which our hooks are a part of
        if value := os.environ.get(name):
            made[name] = value
    return made | dict(variables or {})


def command(service: str, git_dir: Path) -> list[str]:
    """The program and its arguments for one of ``SERVICES``."""
    if service not in SERVICES:
        raise ValueError(service)
    arguments = ["--strict", f"--timeout={_SILENT_SECONDS}"] if "upload" in service else []
    return [program(), *_SAFE, service.removeprefix("git-"), *arguments, str(git_dir)]


def program() -> str:
    """Git. Raises ``SettingsError`` if there is none."""
    found = shutil.which("git")
    if found is None:
        raise SettingsError("git is not installed", hint="install git 2.35 or newer")
    return found


def become(service: str, git_dir: Path, variables: Mapping[str, str]) -> None:
    """Become that server: for a forced command of sshd. Does not return."""
    for kind, most in _limits().items():
        resource.setrlimit(kind, (most, most))
    os.umask(0o027)
    os.chdir("/")
    argv = command(service, git_dir)
    os.execve(argv[0], argv, dict(variables))  # noqa: S606 no shell is meant


def http_backend(git_dir: Path, service_path: str, variables: Mapping[str, str]) -> HttpBackend:
    """Start ``git http-backend`` on one repository, as a CGI program (RFC 3875).

    ``service_path`` is what follows the repository in the address: ``info/refs`` or a service.
    """
    cgi = {
        "GIT_PROJECT_ROOT": str(git_dir),
        "PATH_INFO": f"/{service_path}",
        "GIT_HTTP_EXPORT_ALL": "1",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.receivepack",
        "GIT_CONFIG_VALUE_0": "true",
    }
    process = subprocess.Popen(
        [program(), *_SAFE, "http-backend"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(variables) | cgi,
        cwd="/",
        umask=0o027,
        process_group=0,
    )
    for kind, most in _limits().items():
        try:
            resource.prlimit(process.pid, kind, (most, most))
        except (ProcessLookupError, PermissionError):  # it has ended already
            break
    return process


HttpBackend = subprocess.Popen[bytes]
_SAFE = ["-c", "core.fsmonitor=false", "-c", "core.symlinks=false", "-c", "protocol.allow=never"]


def _limits() -> dict[int, int]:
    return {
        resource.RLIMIT_AS: _ADDRESS_SPACE,
        resource.RLIMIT_CPU: _CPU_SECONDS,
        resource.RLIMIT_FSIZE: LARGEST_FILE,
        resource.RLIMIT_CORE: 0,
    }
