"""From an OCI archive to a SIF, the one file that sites run (https://apptainer.org/docs/user).

spython is not used here: its ``Client.build`` returns None, or the path of an older file, when a
build fails, and cannot be given a time limit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from builder.backends.seams import Built, Cancelled, never
from builder.process import run
from builder.settings import BuilderSettings
from ci.errors import SettingsError

# zstd packs three times faster than gzip and unpacks faster at run time; Singularity before 3.8
# and kernels before 4.14 (squashfs in the kernel's documentation) read only gzip.
_MKSQUASHFS = {
    "apptainer": "-comp zstd -Xcompression-level 3",
    "singularity": "-comp gzip -Xcompression-level 6",
}
_LAST_LINES = 3


def convert(
    built: Built,
    output: Path,
    settings: BuilderSettings,
    log: Callable[[str], None],
    *,
    container_engine: str = "apptainer",
    cancelled: Cancelled = never,
) -> None:
    """Write the SIF of what an image builder made; ``output`` appears whole or not at all.

    Apptainer's temporary files and cache go beside the output, not to a small /tmp or a home.

    Raises:
        SettingsError: apptainer is missing, fails, or takes too long; CancelledError.
    """
    scratch = Path(tempfile.mkdtemp(prefix=".sif-", dir=output.parent)).resolve()
    try:
        # a reference `oci-archive:PATH:TAG` splits at colons: give it a name without any
        (scratch / "image").symlink_to(built.path.resolve())
        argv = [*settings.apptainer, "build", "--force"]
        argv += ["--mksquashfs-args", _MKSQUASHFS[container_engine.partition("@")[0]]]
        argv += ["image.sif", "oci-archive:image" if built.form == "oci-archive" else "image/"]
        lines: list[str] = []

        def take(piece: str) -> None:
            lines.append(piece.rstrip())
            log(lines[-1])

        environment = _environment(settings, scratch)
        limit = settings.convert_timeout
        if run(
            argv,
            environment=environment,
            folder=scratch,
            on_output=take,
            timeout=limit,
            cancelled=cancelled,
        ):
            told = " ".join(lines[-_LAST_LINES:]) or "no reason given"
            raise SettingsError(f"{settings.apptainer[0]} cannot convert the image: {told}")
        with (scratch / "image.sif").open("rb") as stream:
            os.fsync(stream.fileno())
        (scratch / "image.sif").rename(output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def available(settings: BuilderSettings) -> str:
    """Return nothing if the program works, else the sentence that says what is missing."""
    program = settings.apptainer[0]
    try:
        done = subprocess.run(
            [*settings.apptainer, "--version"],
            env={**os.environ, **settings.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"cannot run {program}: {error}"
    return "" if done.returncode == 0 else f"{program} --version ended with {done.returncode}"


def _environment(settings: BuilderSettings, scratch: Path) -> dict[str, str]:
    folders = {"APPTAINER_TMPDIR": scratch / "tmp", "APPTAINER_CACHEDIR": scratch / "cache"}
    for folder in folders.values():
        folder.mkdir()
    return {
        **settings.environment,
        **{name: str(folder) for name, folder in folders.items()},
        **{name.replace("APPTAINER", "SINGULARITY"): str(f) for name, f in folders.items()},
        "SOURCE_DATE_EPOCH": str(settings.source_date_epoch),
    }
