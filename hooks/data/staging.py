"""Files into the working folder of an execution, and results out of it.

Nothing that an entry names leads out of the folder it belongs to: neither by ``..`` nor, on the
site, by a symbolic link.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from ci.errors import EntryError, SiteError
from hooks.data.movers import mover_for
from hooks.data.seams import DataMover
from hooks.sites.paths import below
from hooks.sites.seams import Transport

REGISTRY = "registry:"
MOST_BYTES = 1 << 30
COPY_SECONDS = 600.0

_OUTSIDE, _MISSING = 4, 5
_COPY = f"""\
root=$(cd -- "$1" && pwd -P) && real=$(realpath -e -- "$1/$2") || exit {_MISSING}
case $real in "$root"/*) ;; *) exit {_OUTSIDE} ;; esac
part=$3.part.$$
mkdir -p -- "$(dirname -- "$3")" && cp -RL -- "$real" "$part" || exit 1
rm -rf -- "$3" && mv -T -- "$part" "$3"
"""
# A pattern is expanded, never evaluated: with IFS empty an unquoted variable only globs. All the
# output is made of words that end in NUL: the folder, then a size and a path for each file.
_LIST = f"""\
root=$(cd -- "$1" && pwd -P) && cd -- "$root" || exit {_MISSING}
printf '%s\\0' "$root"
IFS=
for match in ./$2; do
  [ -e "$match" ] || continue
  real=$(realpath -e -- "$match") || exit 1
  case $real in "$root"/*) ;; *) printf '%s\\n' "$match" >&2; exit {_OUTSIDE} ;; esac
  find "$real" -type f -printf '%s\\0%p\\0' || exit 1
done
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A result: its path relative to the working folder, where it is here, its size in bytes."""

    path: PurePosixPath
    local: Path
    size: int


@dataclass(frozen=True, slots=True)
class Found:
    """A file on the site below the working folder."""

    path: PurePosixPath
    size: int


def stage_in(
    transport: Transport,
    source: str,
    *,
    working: PurePosixPath,
    target: str,
    deployed: PurePosixPath,
    scratch: Path,
    known: Mapping[str, DataMover],
    most_bytes: int = MOST_BYTES,
) -> PurePosixPath:
    """Bring ``source`` to ``working/target`` on the site; the path there.

    ``registry:<path>`` is a file or folder of the workflow, already on the site in ``deployed``;
    all else is fetched here, into ``scratch``, and put there.
    """
    there = below(working, target)
    if source.startswith(REGISTRY):
        _copy_deployed(transport, deployed, source.removeprefix(REGISTRY), there)
        return there
    mover = mover_for(source, known)
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch, prefix="stage-in-") as folder:
        file = Path(folder) / "file"
        mover.fetch(source, file, most_bytes=most_bytes)
        transport.put(file, there)
    return there


def list_results(transport: Transport, working: PurePosixPath, pattern: str) -> list[Found]:
    """The files below ``working`` that a pattern of the shell (``* ? […]``) names, sorted.

    A folder stands for all files in it. Raises ``EntryError`` for one that leads out of it.
    """
    below(working, pattern)
    done = transport.run(("sh", "-s", str(working), pattern), stdin=_LIST)
    if done.exit_code == _OUTSIDE:
        raise EntryError(
            f"the result {done.stderr.strip()!r} leads out of the working folder",
            hint="write results into the working folder itself, not through symbolic links",
        )
    if done.exit_code:
        raise SiteError(f"cannot look for results {pattern!r}: {_last(done.stderr)}")
    root, *words = done.stdout.split("\0")[:-1]
    found = {
        PurePosixPath(path).relative_to(root): int(size)
        for size, path in zip(words[::2], words[1::2], strict=True)
    }
    return [Found(path, found[path]) for path in sorted(found)]


def stage_out(
    transport: Transport,
    pattern: str,
    *,
    working: PurePosixPath,
    target: Path,
    most_bytes: int = MOST_BYTES,
) -> list[Kept]:
    """Keep the results that ``pattern`` names below the folder ``target``, at their paths.

    Raises ``EntryError`` when there are none, or more than ``most_bytes`` of them.
    """
    found = list_results(transport, working, pattern)
    if not found:
        raise EntryError(
            f"no file matches {pattern!r} in the working folder",
            hint="check what the step writes, and the `source` of the node that keeps it",
        )
    total = sum(file.size for file in found)
    if total > most_bytes:
        raise EntryError(
            f"the results {pattern!r} are {total} bytes, more than the {most_bytes} that are kept",
            hint="keep fewer files, or smaller ones",
        )
    kept = []
    for file in found:
        local = target / below(PurePosixPath(), str(file.path))
        transport.get(working / file.path, local)
        kept.append(Kept(file.path, local, local.stat().st_size))
    return kept


def _copy_deployed(
    transport: Transport, deployed: PurePosixPath, path: str, there: PurePosixPath
) -> None:
    below(deployed, path)
    argv = ("sh", "-s", str(deployed), path, str(there))
    done = transport.run(argv, stdin=_COPY, timeout=COPY_SECONDS)
    if done.exit_code in {_OUTSIDE, _MISSING}:
        raise EntryError(
            f"there is no {path!r} in the workflow's folder",
            hint=f"the path after `{REGISTRY}` is relative to the folder of the workflow",
        )
    if done.exit_code:
        raise SiteError(f"cannot copy {path!r} into the working folder: {_last(done.stderr)}")


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
