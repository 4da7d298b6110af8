"""From what an image builder made to a SIF, the one file that sites run (https://apptainer.org).

The same image gives the same bytes: its files' times are clamped (mksquashfs knows
``SOURCE_DATE_EPOCH``), a label takes the place of the time of the build, and the header is made
neutral, since Apptainer before 1.5 writes times and a random number into it. spython converts
nothing here: its ``Client.build`` returns None, or the path of an older file, when a build fails.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from spython.utils import run_command

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
_PLAIN = {"oci-archive": "oci-archive:image", "sandbox": "image/"}  # names without a definition
# --force lets this label replace Apptainer's own, the time of the build
_DEFINITION = """Bootstrap: {agent}
From: image

%labels
    org.label-schema.build-date {created}
"""
# The header and its descriptors: https://github.com/apptainer/sif, pkg/sif/sif.go, descriptor.go
_MAGIC = b"SIF_MAGIC\0"
_HEADER = struct.Struct("<32s10s3s3s16s8q")
_OWNED = struct.Struct("<4q")  # created, modified, uid, gid
_OWNED_AT = 41  # in a descriptor
_NAMED = struct.Struct("<i?I64x128s")  # type, in use, number, name
_DESCRIPTOR = 585
_MAX_DESCRIPTORS = 1000


def convert(
    built: Built,
    output: Path,
    settings: BuilderSettings,
    log: Callable[[str], None],
    *,
    container_engine: str = "apptainer",
    labels: Mapping[str, str] | None = None,
    cancelled: Cancelled = never,
) -> None:
    """Write the SIF of what an image builder made; ``output`` appears whole or not at all.

    Apptainer's temporary files and cache go beside the output, not to a small /tmp or a home.
    ``labels`` are those that the SIF must have.

    Raises:
        SettingsError: apptainer is missing, fails, takes too long, or makes a SIF without the
            labels; CancelledError.
    """
    scratch = Path(tempfile.mkdtemp(prefix=".sif-", dir=output.parent)).resolve()
    try:
        # a reference `oci-archive:PATH:TAG` splits at colons: give it a name without any
        (scratch / "image").symlink_to(built.path.resolve())
        (scratch / "definition").write_text(_definition(built, settings), "ascii")
        namespace = _root_namespace()
        squash = _MKSQUASHFS[container_engine.partition("@")[0]]
        argv = [*(namespace or ()), *settings.apptainer, "build", "--force"]
        argv += ["--mksquashfs-args", squash, "image.sif"]
        argv += [_PLAIN[built.form] if namespace is None else "definition"]
        _run(argv, scratch, settings, log, cancelled)
        with (scratch / "image.sif").open("r+b") as stream:
            _make_neutral(stream, settings.source_date_epoch)
            os.fsync(stream.fileno())
        if labels:
            _check_labels(scratch / "image.sif", settings, labels)
        (scratch / "image.sif").rename(output)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _definition(built: Built, settings: BuilderSettings) -> str:
    agent = "oci-archive" if built.form == "oci-archive" else "localimage"
    created = datetime.fromtimestamp(settings.source_date_epoch, UTC)
    return _DEFINITION.format(agent=agent, created=f"{created:%Y-%m-%dT%H:%M:%SZ}")


def _root_namespace() -> list[str] | None:
    """What makes an ordinary user root of a namespace, as a definition wants it; None: nothing.

    Apptainer's own way wants the user's home as well. Where there are no user namespaces, it can
    convert without a definition; the SIF then has the time of the build in a label.
    """
    if os.geteuid() == 0:
        return []
    command = ["unshare", "--user", "--map-root-user", "--mount", "--"]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
    except OSError:
        return None
    return None if done.returncode else command


def _run(
    argv: list[str],
    scratch: Path,
    settings: BuilderSettings,
    log: Callable[[str], None],
    cancelled: Cancelled,
) -> None:
    lines: list[str] = []

    def take(piece: str) -> None:
        lines.append(piece.rstrip())
        log(lines[-1])

    exit_code = run(
        argv,
        environment=folders(settings, scratch),
        folder=scratch,
        on_output=take,
        timeout=settings.convert_timeout,
        cancelled=cancelled,
    )
    if exit_code:
        told = " ".join(lines[-_LAST_LINES:]) or "no reason given"
        raise SettingsError(f"{settings.apptainer[0]} cannot convert the image: {told}")


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


def folders(settings: BuilderSettings, scratch: Path) -> dict[str, str]:
    """Make Apptainer's own folders in ``scratch``; return the environment that names them."""
    made = {"APPTAINER_TMPDIR": scratch / "tmp", "APPTAINER_CACHEDIR": scratch / "cache"}
    for folder in made.values():
        folder.mkdir()
    return {
        **settings.environment,
        **{name: str(folder) for name, folder in made.items()},
        **{name.replace("APPTAINER", "SINGULARITY"): str(f) for name, f in made.items()},
        "SOURCE_DATE_EPOCH": str(settings.source_date_epoch),
    }


def labels(path: Path, settings: BuilderSettings) -> dict[str, str]:
    """Return the labels of a SIF; ``apptainer inspect`` would refuse those of other platforms.

    Raises:
        SettingsError: it cannot be read.
    """
    environment = [f"{name}={value}" for name, value in settings.environment.items()]
    try:
        with path.open("rb") as stream:
            number = _inspected(stream)
        argv = ["env", *environment, *settings.apptainer, "sif", "dump", number, str(path)]
        document = json.loads(run_command(argv, quiet=True)["message"][0])
        found = document["data"]["attributes"]["labels"]
        return {str(name): str(value) for name, value in found.items()}
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        told = f"{settings.apptainer[0]} cannot read the labels of {path.name}"
        raise SettingsError(told) from error


def _check_labels(path: Path, settings: BuilderSettings, expected: Mapping[str, str]) -> None:
    found = labels(path, settings)
    for name, value in expected.items():
        if found.get(name) != value:
            raise SettingsError(
                f"the SIF has the label {name}={found.get(name, '')!r}, not {value!r}",
                hint="another image was converted: is the engine shared with someone else?",
            )


def _make_neutral(stream: BinaryIO, epoch: int) -> None:
    """Take time, random identifier and owner out of a SIF's header. Raises ``SettingsError``."""
    head = stream.read(_HEADER.size)
    places = _descriptors(head)
    *first, _, _, _, free, total, start, size, data, length = _HEADER.unpack(head)
    stream.seek(0)
    stream.write(
        _HEADER.pack(*first, bytes(16), epoch, epoch, free, total, start, size, data, length)
    )
    for place in places:
        stream.seek(place + _OWNED_AT)
        stream.write(_OWNED.pack(epoch, epoch, 0, 0))


def _inspected(stream: BinaryIO) -> str:
    """The number of the object that ``apptainer inspect`` shows. Raises ``SettingsError``."""
    for place in _descriptors(stream.read(_HEADER.size)):
        stream.seek(place)
        _, _, number, name = _NAMED.unpack(stream.read(_NAMED.size))
        if name.rstrip(b"\0") == b"inspect-metadata.json":
            return str(number)
    raise SettingsError("the SIF has no labels")


def _descriptors(head: bytes) -> list[int]:
    """Where the descriptors in use are. Raises ``SettingsError``."""
    if len(head) == _HEADER.size and head[32:].startswith(_MAGIC):
        *_, free, total, start, _, _, _ = _HEADER.unpack(head)
        if 0 <= free <= total <= _MAX_DESCRIPTORS and start >= _HEADER.size:
            return [start + number * _DESCRIPTOR for number in range(total - free)]
    raise SettingsError("apptainer did not write a SIF")
