"""Transport to this machine itself: for a site that the service runs on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from ci.errors import SiteError
from hooks.sites.quoting import checked
from hooks.sites.seams import Completed

# As bare as a login by SSH: what else the service has in its environment is not for jobs.
_KEPT = ("HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "TZ", "TMPDIR")
NOT_EXECUTABLE, NOT_FOUND = 126, 127  # as a POSIX shell says it


class LocalTransport:
    """Runs commands as the service's own user, from its home folder."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._environment = {name: os.environ[name] for name in _KEPT if name in os.environ}

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 60.0) -> Completed:
        """Run one command; after ``timeout`` seconds it is killed with all it started."""
        argv = checked(argv)
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                cwd=Path.home(),
                start_new_session=True,
            )
        except FileNotFoundError:
            return Completed(NOT_FOUND, "", f"{argv[0]}: command not found")
        except OSError as error:
            return Completed(NOT_EXECUTABLE, "", f"{argv[0]}: {error.strerror}")
        with process:
            try:
                out, err = process.communicate(stdin.encode("utf-8"), timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise SiteError(
                    f"{argv[0]} did not end within {timeout:g} s", site=self._site, transient=True
                ) from None
        return Completed(process.returncode, _text(out), _text(err))

    def put(
        self,
        local: Path,
        remote: PurePosixPath,
        *,
        mode: int = 0o644,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Copy a file to where jobs see it."""
        try:
            copy_whole(local, Path(remote), mode)
        except OSError as error:
            raise self._refused("write", remote, error) from error
        if progress is not None:
            size = local.stat().st_size
            progress(size, size)

    def get(self, remote: PurePosixPath, local: Path) -> None:
        """Copy a file from where jobs wrote it."""
        try:
            copy_whole(Path(remote), local, 0o644)
        except OSError as error:
            raise self._refused("read", remote, error) from error

    def close(self) -> None:
        """Nothing is held."""

    def _refused(self, what: str, path: PurePosixPath, error: OSError) -> SiteError:
        return SiteError(f"cannot {what} {path}: {error.strerror or error}", site=self._site)


def copy_whole(source: Path, target: Path, mode: int) -> None:
    """Copy a file so that it appears whole or not at all; parents are made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with source.open("rb") as reader, part.open("wb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(writer.fileno())
        part.chmod(mode)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _text(stream: bytes) -> str:
    return stream.decode("utf-8", errors="replace")
