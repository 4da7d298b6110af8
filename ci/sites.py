"""Site files: one site each, in YAML, with the field names of ``ci.site``.

``site:`` (or ``name:``) is the site's name. Unknown keys are errors: a mistyped ``host_keys``
must not leave a site without its pinned keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import PurePosixPath

from ci.documents import load
from ci.errors import EntryError
from ci.gpu_architecture import normalised
from ci.located import Located
from ci.site import ContainerSettings, QueueSettings, Site, SitePaths, TransportSettings
from ci.target import Target
from ci.workflow_settings import NAME, TIME_LIMIT

_SECTIONS = ("transport", "queue", "paths", "target", "container")
_KEYS = ("site", "name", "title", *_SECTIONS, "mpi_launcher")
_HOST_KEY = re.compile(r"(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,252}", re.ASCII)
_LOGIN = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,63}", re.ASCII)
_PLATFORM = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9_.]+)?", re.ASCII)
_VERSIONED = re.compile(r"([a-z0-9][a-z0-9._-]*(@[A-Za-z0-9._-]+)?)?", re.ASCII)
_ENGINE = re.compile(r"(apptainer|singularity)(@[0-9]{1,4}([.-][0-9]{1,4}){0,3})?", re.ASCII)
_NUMBERS = re.compile(r"([0-9]{1,4}(\.[0-9]{1,4}){1,3})?", re.ASCII)
_WORD = re.compile(r"[a-z][a-z0-9_-]{0,40}", re.ASCII)
_FIELD = re.compile(r"[A-Za-z0-9._:/+-]{0,64}", re.ASCII)  # partition, account, QoS

_TRANSPORT, _QUEUE, _TARGET = TransportSettings(), QueueSettings(), Target()
_SITE = Site("", _TRANSPORT, _QUEUE, SitePaths())  # what a file leaves out


def read_site(data: bytes, path: str) -> Site:
    """Read a site file. Raises ``EntryError`` with the place of the first thing that is wrong."""
    document = load(data, path)
    items = document.only(_KEYS, "a site")
    name_key = "site" if "site" in items else "name"
    if name_key not in items:
        raise document.error("the site has no name", hint="begin the file with `site: <name>`")
    if "site" in items and "name" in items:
        raise items["name"].error("`site` and `name` are the same: keep one")
    launcher = items.get("mpi_launcher")
    return Site(
        name=_matching(items[name_key], NAME, "the site's name"),
        title=items["title"].string("title") if "title" in items else "",
        transport=_transport(items.get("transport", Located(None)), document),
        queue=_queue(items.get("queue", Located(None))),
        paths=_paths(items.get("paths", Located(None)), document),
        target=_target(items.get("target", Located(None))),
        container=_container(items.get("container", Located(None))),
        mpi_launcher=_words(launcher, "mpi_launcher") if launcher else _SITE.mpi_launcher,
    )


def _transport(section: Located, document: Located) -> TransportSettings:
    items = section.only(_names_of(TransportSettings), "transport")
    settings = TransportSettings(
        kind=_field(items, "kind", _WORD, _TRANSPORT.kind),
        host=_field(items, "host", _HOST, ""),
        port=items["port"].integer("port", at_least=1, at_most=65535) if "port" in items else 22,
        host_keys=_host_keys(items["host_keys"]) if "host_keys" in items else (),
        user=_field(items, "user", _LOGIN, ""),
        credential=_field(items, "credential", NAME, ""),
    )
    if settings.kind == "ssh":
        place = section if items else document
        for name in ("host", "user", "credential", "host_keys"):
            if not getattr(settings, name):
                raise place.error(f"transport: {name} is missing", hint=_MISSING[name])
    return settings


_MISSING = {
    "host": "the login host's name or address",
    "user": "the login that deploys",
    "credential": "the name of its key in the secret store",
    "host_keys": "a list of `ssh-ed25519 AAAA…`; ask the site's administrator, or ssh-keyscan",
}


def _host_keys(value: Located) -> tuple[str, ...]:
    return tuple(_matching(key, _HOST_KEY, "a host key") for key in value.sequence("host_keys"))


def _queue(section: Located) -> QueueSettings:
    items = section.only(_names_of(QueueSettings), "queue")
    return QueueSettings(
        kind=_field(items, "kind", _WORD, _QUEUE.kind),
        partition=_field(items, "partition", _FIELD, ""),
        account=_field(items, "account", _FIELD, ""),
        qos=_field(items, "qos", _FIELD, ""),
        time_limit=_field(items, "time_limit", TIME_LIMIT, _QUEUE.time_limit),
    )


def _paths(section: Located, document: Located) -> SitePaths:
    items = section.only(_names_of(SitePaths), "paths")
    for name in _names_of(SitePaths):
        if name not in items:
            place = section if items else document
            raise place.error(f"paths: {name} is missing", hint="a folder on the shared disk")
        _check_folder(items[name], name)
    return SitePaths(deploy=items["deploy"].text, work=items["work"].text)


def _check_folder(value: Located, name: str) -> None:
    text = value.string(f"paths: {name}").replace("{user}", "user" if name == "work" else "{")
    path = PurePosixPath(text)
    plain = text.isprintable() and not set(text) & set("{}$`'\"\\*?;&|<>")
    if not plain or not path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
        message = f"paths: {name}: {value.text[:80]!r} is not an absolute path of plain characters"
        raise value.error(message, hint="`{user}` may stand in `work` for the login")


def _target(section: Located) -> Target:
    """Names are not looked up here: ``builder.targets`` knows which of them are real."""
    items = section.only(_names_of(Target), "target")
    target = Target(
        platform=_field(items, "platform", _PLATFORM, _TARGET.platform),
        microarchitecture=_field(items, "microarchitecture", _WORD, _TARGET.microarchitecture),
        mpi=_field(items, "mpi", _VERSIONED, ""),
        gpu=_field(items, "gpu", _VERSIONED, ""),
        gpu_architecture=_gpu_architecture(items.get("gpu_architecture")),
        container_engine=_field(items, "container_engine", _ENGINE, _TARGET.container_engine),
        glibc=_field(items, "glibc", _NUMBERS, ""),
        kernel=_field(items, "kernel", _NUMBERS, ""),
    )
    if target.gpu_architecture and not target.gpu:
        raise items["gpu_architecture"].error(
            "target: gpu_architecture is given, but no gpu", hint="name it too, as gpu: cuda@12.2"
        )
    return target


def _gpu_architecture(value: Located | None) -> str:
    if value is None or not value.string("gpu_architecture"):
        return ""
    if not (name := normalised(value.text)):
        raise _bad(value, "gpu_architecture")
    return name


def _container(section: Located) -> ContainerSettings:
    items = section.only(_names_of(ContainerSettings), "container")
    command = items["command"].string("command") if "command" in items else "apptainer"
    if not command or command.startswith("-") or not command.isprintable():
        raise items["command"].error(f"container: command: {command[:80]!r} is not a program")
    return ContainerSettings(
        command=command,
        modules=_words(items["modules"], "modules") if "modules" in items else (),
        options=_words(items["options"], "options") if "options" in items else (),
    )


def _words(value: Located, what: str) -> tuple[str, ...]:
    words = value.sequence(what)
    for word in words:
        if not word.string(f"an entry of {what}").isprintable():
            raise word.error(f"{what}: control characters are not allowed")
    return tuple(word.text for word in words)


def _field(items: Mapping[str, Located], name: str, pattern: re.Pattern[str], default: str) -> str:
    return _matching(items[name], pattern, name) if name in items else default


def _matching(value: Located, pattern: re.Pattern[str], what: str) -> str:
    if not pattern.fullmatch(value.string(what)):
        raise _bad(value, what)
    return value.text


def _bad(value: Located, what: str) -> EntryError:
    return value.error(f"{what}: {value.text[:80]!r} is not usable", hint=_SHAPES.get(what, ""))


_SHAPES = {
    "platform": "os/architecture, such as linux/amd64",
    "mpi": "name@version, such as openmpi@4.1.5",
    "gpu": "name@version, such as cuda@12.2",
    "gpu_architecture": "the compute capability, such as 8.0, or AMD's target, such as gfx90a",
    "container_engine": "apptainer or singularity, perhaps with its version: singularity@3.11.4",
    "glibc": "two or three numbers, such as 2.28: `ldd --version` prints it",
    "kernel": "two or three numbers, such as 4.18: `uname -r` begins with them",
    "time_limit": "HH:MM:SS, in quotes",
    "a host key": "as in known_hosts, without the host: `ssh-ed25519 AAAA…`",
    "host": "a host name or an address",
}


def _names_of(kind: type) -> Iterable[str]:
    return [field.name for field in fields(kind)]
