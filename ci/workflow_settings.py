"""``<workflow>/waas.yaml``: what this service needs to know of a workflow. Optional.

title: Reduced order model
description: …
license: Apache-2.0
maintainers: [alice, {name: Bob, email: bob@example.org}]
sites: [marenostrum]        # where a merge deploys it
may_run: [alice, bob]       # users; left out: everybody who may use the service
smoke_test: {site: marenostrum, inputs: {nodes: 1}, time_limit: "00:05:00"}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ci.documents import load
from ci.located import Located

FILE_NAMES = ("waas.yaml", "waas.yml")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
TIME_LIMIT = re.compile(r"[0-9]{1,4}:[0-5][0-9]:[0-5][0-9]", re.ASCII)
_KEYS = ("title", "description", "license", "maintainers", "sites", "may_run", "smoke_test")
_LONGEST = 2000  # characters of a text


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """A small execution that shows that a deployment works. ``time_limit`` is HH:MM:SS."""

    site: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    time_limit: str = "00:10:00"


@dataclass(frozen=True, slots=True)
class WorkflowSettings:
    """What ``waas.yaml`` says. ``may_run`` empty: everybody. ``places`` are those of the sites."""

    title: str = ""
    description: str = ""
    license: str = ""
    maintainers: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    may_run: tuple[str, ...] = ()
    smoke_test: SmokeTest | None = None
    places: tuple[Located, ...] = ()


def read_workflow_settings(data: bytes, path: str) -> WorkflowSettings:
    """Read the file. Raises ``EntryError`` with the place of the first thing that is wrong."""
    items = load(data, path).only(_KEYS, "waas.yaml")
    sites = _names(items, "sites")
    return WorkflowSettings(
        title=_text(items, "title"),
        description=_text(items, "description"),
        license=_text(items, "license"),
        maintainers=_maintainers(items),
        sites=tuple(site.text for site in sites),
        may_run=tuple(user.text for user in _names(items, "may_run")),
        smoke_test=_smoke_test(items["smoke_test"]) if "smoke_test" in items else None,
        places=tuple(sites),
    )


def _text(items: Mapping[str, Located], key: str) -> str:
    if key not in items:
        return ""
    text = items[key].string(key)
    if len(text) > _LONGEST:
        raise items[key].error(f"{key} is longer than {_LONGEST} characters")
    return text


def _names(items: Mapping[str, Located], key: str) -> list[Located]:
    names = items[key].sequence(key) if key in items else []
    for position, name in enumerate(names):
        if not NAME.fullmatch(name.string(f"an entry of {key}")):
            hint = "letters, digits, `.`, `_`, `-`; at most 63"
            raise name.error(f"{key}: {name.text[:80]!r} is not a name", hint=hint)
        if name.text in {other.text for other in names[:position]}:
            raise name.error(f"{key}: {name.text!r} appears twice")
    return names


def _maintainers(items: Mapping[str, Located]) -> tuple[str, ...]:
    found = []
    for item in items["maintainers"].sequence("maintainers") if "maintainers" in items else []:
        if item.is_mapping:
            person = item.only(("name", "email", "github"), "a maintainer")
            if "name" not in person:
                raise item.error("a maintainer needs a name")
            item = person["name"]  # noqa: PLW2901 the short form of the same
        found.append(item.string("a maintainer"))
    return tuple(found)


def _smoke_test(value: Located) -> SmokeTest:
    items = value.only(("site", "inputs", "time_limit"), "smoke_test")
    time_limit = items["time_limit"].string("time_limit") if "time_limit" in items else "00:10:00"
    if not TIME_LIMIT.fullmatch(time_limit):
        raise items["time_limit"].error(f"time_limit: {time_limit[:40]!r} is not HH:MM:SS")
    inputs = items["inputs"].mapping("inputs") if "inputs" in items else {}
    return SmokeTest(
        site=_text(items, "site"),
        inputs={name: item.plain() for name, item in inputs.items()},
        time_limit=time_limit,
    )
