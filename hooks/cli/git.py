"""``waas git``: the repositories that we host: who may use them, and serving them over SSH."""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click

from ci.errors import EntryError
from hooks.cli.output import as_json, show
from hooks.cli.service import settings_of
from hooks.config import Settings, find_config
from hooks.forges.access import (
    ALL,
    FILE_NAME,
    LEVELS,
    Access,
    AccessFile,
    GitUser,
    at_least,
    authorized_keys,
    check_user,
    is_key,
)

_REQUEST = re.compile(r"/?([a-z][a-z0-9-]{0,49})(\.git)?/?")
_LONGEST_KEY = 20_000  # characters
_SERVICES = {"git-upload-pack": "read", "git-receive-pack": "propose"}


@click.group()
def git() -> None:
    """The git repositories that this service hosts."""


@git.group()
def users() -> None:
    """Who may do what with them (git-access.yaml)."""


def _file(settings: Settings) -> AccessFile:
    return AccessFile(settings.home / FILE_NAME)


@users.command("add")
@click.argument("user")
@click.option("--key", "key_file", type=click.Path(), help="Public key; - is standard input.")
@click.option("--right", "rights", multiple=True, metavar="REPOSITORY=LEVEL")
@click.pass_context
def add(ctx: click.Context, user: str, key_file: str | None, rights: tuple[str, ...]) -> None:
    """Let USER in, or give another key or right.

    LEVEL is none, read, propose or merge; REPOSITORY is a name or * for all.
    """
    settings = settings_of(ctx)
    file = _file(settings)
    access, name = file.read(), check_user(user)
    known = access.users.get(name, GitUser())
    keys = (*known.keys, *([_key(key_file)] if key_file else []))
    given = dict(known.rights) | dict(_right(settings, text) for text in rights)
    made = GitUser(tuple(dict.fromkeys(keys)), given)
    file.write(replace(access, users={**access.users, name: made}))
    click.echo(f"{name}: {len(made.keys)} keys; {_told(made)}")


def _key(path: str) -> str:
    try:
        text = sys.stdin.read(_LONGEST_KEY) if path == "-" else _beginning(Path(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a text"
        raise EntryError(f"cannot read {path[:200]!r}: {reason}", hint="--key FILE.pub") from error
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 1 or not is_key(lines[0]):
        raise EntryError("that is not one public key of OpenSSH", hint="ssh-keygen -t ed25519")
    return lines[0]


def _beginning(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as opened:
        return opened.read(_LONGEST_KEY)


def _right(settings: Settings, text: str) -> tuple[str, str]:
    repository, _, level = text.partition("=")
    if repository != ALL and repository not in settings.repositories:
        known = ", ".join([*settings.repositories, ALL])
        raise EntryError(f"--right {text!r}: no such repository", hint=f"there are: {known}")
    if level not in LEVELS:
        raise EntryError(f"--right {text!r}: no such right", hint=f"one of {', '.join(LEVELS)}")
    return repository, level


def _told(user: GitUser) -> str:
    return ", ".join(f"{r}={level}" for r, level in sorted(user.rights.items())) or "no rights"


@users.command("list")
@as_json
@click.pass_context
def listed(ctx: click.Context, as_json: bool) -> None:
    """All users, their rights and how many keys they have."""
    access = _file(settings_of(ctx)).read()
    rows = [
        {"user": name, "rights": _told(user), "keys": len(user.keys)}
        for name, user in sorted(access.users.items())
    ]
    rows.append({"user": "(everyone)", "rights": access.everyone, "keys": 0})
    show(rows, ["user", "rights", "keys"], json_wanted=as_json)


@users.command("remove")
@click.argument("user")
@click.pass_context
def remove(ctx: click.Context, user: str) -> None:
    """Take USER's keys and rights away, from their next connection on."""
    file = _file(settings_of(ctx))
    access = file.read()
    if user not in access.users:
        raise EntryError(f"there is no user {user!r}", hint="waas git users list")
    left = {name: known for name, known in access.users.items() if name != user}
    file.write(replace(access, users=left))
    click.echo(f"{user} is removed")


@git.command("authorized-keys")
@click.pass_context
def keys(ctx: click.Context) -> None:
    """Print lines for the git account's authorized_keys, or be its AuthorizedKeysCommand."""
    settings = settings_of(ctx)
    click.echo(authorized_keys(_file(settings).read(), _forced(ctx)), nl=False)


def _forced(ctx: click.Context) -> list[str]:
    config = str(find_config(ctx.obj.get("config")))
    return [sys.executable, "-P", "-m", "hooks.cli.main", "--config", config, "git", "serve"]


@git.command()
@click.argument("user")
@click.pass_context
def serve(ctx: click.Context, user: str) -> None:
    """Serve git to USER over this SSH connection (a forced command of sshd)."""
    from ci.git.serving import become, environment

    settings = settings_of(ctx)
    access: Access = _file(settings).read()
    asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
    service, repository = read_request(asked, check_user(user))
    level = access.level(user, repository)
    if repository not in settings.repositories or not at_least(level, "read"):
        raise EntryError(f"{user}: there is no repository {repository!r} for you here")
    if not at_least(level, _SERVICES[service]):
        raise EntryError(f"{user}: you may read {repository}, not push to it")
    protocol = os.environ.get("GIT_PROTOCOL", "")
    become(service, settings.repositories[repository], environment(user, level, protocol))


def read_request(asked: str, user: str) -> tuple[str, str]:
    """The service and the repository that an SSH client asks for; never a path of theirs.

    Raises ``EntryError`` for all else. https://git-scm.com/docs/pack-protocol, "SSH Transport".
    """
    try:
        words = shlex.split(asked[:1000])
    except ValueError:
        words = []
    if len(words) == 3 and words[0] == "git":
        words = [f"git-{words[1]}", words[2]]
    match = _REQUEST.fullmatch(words[1]) if len(words) == 2 else None
    if match is None or words[0] not in _SERVICES:
        raise EntryError(
            f"hello {user}: there is no shell here, only git",
            hint="git clone ssh://THIS-HOST/workflow-registry.git",
        )
    return words[0], match[1]
