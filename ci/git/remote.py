"""Mirrors of repositories elsewhere: bare ones that hold the commits we asked for.

The other side is a stranger: only https is spoken (http on this very machine), to the host that was
named and to none it redirects to; everything it sends is checked (``fsckObjects``), limited in
size, processor time and duration, and nothing it says is repeated. A token travels in the
environment of git (``GIT_CONFIG_COUNT``, ``http.extraHeader``: https://git-scm.com/docs/git-config).

git stores what it received before it moves a reference: when a process is killed in between, that
only is missing, and the next fetch goes on.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ci.errors import EntryError, SettingsError, SiteError
from ci.git.fetch_errors import fetch_error
from ci.git.names import Address, check_commit, check_ref, check_url
from ci.git.process import GitTimeoutError, Permit, git_output
from ci.git.writing import alone, held_refs, remove_left_locks, remove_left_objects

TIMEOUT = 300.0  # seconds for one fetch
MAX_PACK = 1024**3  # bytes of what one fetch may bring, and of a file of the object store
_CPU_SECONDS = 120  # for each process: what a small pack unpacks to has no other bound
_CONFIG = """\
# Written by hpcwaas before every fetch.
[core]
\trepositoryformatversion = 0
\tbare = true
\tfilemode = false
\thooksPath = /dev/null
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""
_OPTIONS = (
    *("--quiet", "--no-progress", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"),
    *("--no-auto-maintenance", "--no-show-forced-updates", "--atomic", "--refmap="),
)
_PASSED = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")  # how this machine reaches others
_AUTHORITIES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")  # whom it trusts, as ``requests`` has it


def make_mirror(git_dir: Path) -> None:
    """Make an empty mirror, or restore the configuration of the one that is there. Idempotent.

    It appears whole: made beside its place, then renamed. Its layout:
    https://git-scm.com/docs/gitrepository-layout. Raises ``SettingsError``: cannot be written.
    """
    try:
        if not (git_dir / "HEAD").is_file():
            _make(git_dir)
        config = git_dir / "config"
        if config.read_text(encoding="utf-8", errors="replace") != _CONFIG:
            _write(config, _CONFIG)
    except OSError as error:
        raise SettingsError(f"cannot make the mirror {git_dir}: {error.strerror}") from error


def _make(git_dir: Path) -> None:
    git_dir.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=git_dir.parent, prefix=f".{git_dir.name}-"))
    try:
        for folder in ("objects/info", "objects/pack", "refs/heads"):
            (made / folder).mkdir(parents=True)
        (made / "config").write_text(_CONFIG)
        (made / "HEAD").write_text("ref: refs/heads/main\n")
        with suppress(FileExistsError):  # another process was faster
            _place(made, git_dir)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _place(made: Path, git_dir: Path) -> None:
    try:
        made.rename(git_dir)
    except OSError:
        if (git_dir / "HEAD").is_file():
            raise FileExistsError from None
        raise


def _write(file: Path, text: str) -> None:
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as new:
        new.write(text)
    Path(name).replace(file)


def has(git_dir: Path, commit: str) -> bool:
    """Whether a mirror holds a commit and all that belongs to it (files, earlier commits).

    That an object is there says nothing of those it names: a fetch may have ended half way.
    """
    if not (git_dir / "HEAD").is_file():
        return False
    names = ("rev-list", "--objects", "--quiet", "--stdin", "--not", "--all")
    code, _ = git_output(git_dir, *names, question=f"{check_commit(commit)}\n")
    return code == 0


def fetch(
    git_dir: Path,
    url: str,
    refs: Sequence[str],
    *,
    token: str = "",
    user: str = "x-access-token",
) -> None:
    """Bring branches and pull requests to where they are elsewhere, under the same names.

    ``refs`` are ``refs/heads/<branch>`` and ``refs/pull/<number>/head``: all of them move, or none
    does; ask for one that may be damaged by itself. Makes the mirror if there is none. Two
    processes may fetch at once. Raises ``SiteError``: not reachable (transient), credentials
    refused; ``EntryError``: damaged, too large, no such reference; ``SettingsError``: the address.
    """
    address = check_url(url)
    wanted = "".join(f"+{ref}:{ref}\n" for ref in map(check_ref, refs))
    make_mirror(git_dir)
    with alone(git_dir, TIMEOUT) as lock:
        _sweep(git_dir, refs)
        permit = Permit(
            file_size=MAX_PACK,
            seconds=TIMEOUT,
            cpu=_CPU_SECONDS,
            environment=_surroundings(address),
            config=_settings(address, token, user),
            descriptors=(lock,),
            messages=True,
        )
        arguments = ("fetch", *_OPTIONS, "--stdin", "--end-of-options", address.url)
        try:
            # git starts no child before it has read what to fetch: its limits are in place by then
            code, output = git_output(git_dir, *arguments, permit=permit, question=wanted)
        except GitTimeoutError:
            message = f"{url} did not answer within {TIMEOUT:.0f} seconds"
            raise SiteError(message, transient=True) from None
        finally:
            _sweep(git_dir, refs)
    if code:
        raise fetch_error(url, output)


def _sweep(git_dir: Path, refs: Iterable[str]) -> None:
    """Remove what a process left that was killed: whoever holds the lock is the only writer."""
    remove_left_locks(git_dir, refs, 0.0)
    remove_left_objects(git_dir, 0.0)


def _settings(address: Address, token: str, user: str) -> list[tuple[str, str]]:
    scheme = address.origin.partition(":")[0]
    settings = [
        (f"protocol.{scheme}.allow", "always"),
        ("http.followRedirects", "false"),
        ("http.sslVerify", "true"),
        ("http.lowSpeedLimit", "100"),  # bytes per second …
        ("http.lowSpeedTime", "30"),  # … over so many seconds
        ("http.userAgent", "git/hpcwaas"),
        ("credential.helper", ""),
        ("core.askPass", ""),
        ("fetch.fsckObjects", "true"),
        ("pack.threads", "2"),
        ("core.bigFileThreshold", "32m"),
        ("submodule.recurse", "false"),
    ]
    if authorities := next((os.environ[n] for n in _AUTHORITIES if os.environ.get(n)), ""):
        settings.append(("http.sslCAInfo", authorities))
    if token:
        if not f"{user}{token}".isascii() or not f"{user}{token}".isprintable() or ":" in user:
            raise SettingsError("the token has letters that no token has", hint="store it again")
        word = base64.b64encode(f"{user}:{token}".encode()).decode("ascii")
        settings.append((f"http.{address.origin}.extraHeader", f"Authorization: Basic {word}"))
    return settings


def _surroundings(address: Address) -> dict[str, str]:
    if address.is_loopback:
        return {}
    return {name: os.environ[name] for name in _PASSED if name in os.environ}


def tidy(git_dir: Path) -> None:
    """Put many small packs and references of a mirror into few. Loses nothing; idempotent.

    For a quiet hour: every fetch leaves a pack behind. Raises ``EntryError``: damaged.
    """
    with alone(git_dir, TIMEOUT) as lock:
        _sweep(git_dir, held_refs(git_dir))
        permit = Permit(file_size=MAX_PACK, seconds=TIMEOUT, cpu=_CPU_SECONDS, descriptors=(lock,))
        for arguments in (("repack", "-d", "-q", "--geometric=2"), ("pack-refs", "--all")):
            code, _ = git_output(git_dir, *arguments, permit=permit)
            if code:
                raise EntryError(f"git cannot tidy {git_dir.name}", hint="it may be damaged")
