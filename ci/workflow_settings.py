"""``<workflow>/waas.yaml``: what this service needs to know of a workflow. Optional.

title: Reduced order model
description: …
license: Apache-2.0
maintainers: [alice, {name: Bob, email: bob@example.org}]
sites: [marenostrum]        # where a merge deploys it
may_run: [alice, bob]       # users; left out: everybody who may use the service
smoke_test: {site: marenostrum, inputs: {nodes: 1}, time_limit: "00:05:00"}
images:                     # by step
  simulate:
    test:                   # what an image must pass before it is published
      - import: [numpy, six]
      - run: [mpirun, -n, "2", /simulate/src/hello]
      - version: [python3, --version]
        contains: "3.11"

A smoke test is an execution on a site, after deployment; the tests of an image run where it is
built, without the site.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ci.documents import load
from ci.located import Located

FILE_NAMES = ("waas.yaml", "waas.yml")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
TIME_LIMIT = re.compile(r"[0-9]{1,4}:[0-5][0-9]:[0-5][0-9]", re.ASCII)
_KEYS = (
    *("title", "description", "license", "maintainers", "sites", "may_run", "smoke_test"),
    "images",
)
_LONGEST = 2000  # characters of a text
MAX_TESTS = 20  # of one image
MAX_WORDS = 50  # of a command; modules of one import
_LONGEST_WORD = 500  # characters
_MODULE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)

TestKind = Literal["import", "run", "version"]


@dataclass(frozen=True, slots=True)
class SmokeTest:
    """A small execution that shows that a deployment works. ``time_limit`` is HH:MM:SS."""

    site: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    time_limit: str = "00:10:00"


@dataclass(frozen=True, slots=True)
class ImageTest:
    """What a new image must pass before it is published.

    ``import``: Python imports the modules ``words``. ``run``, ``version``: the command ``words``,
    an argument each and no shell, ends with exit code 0; if ``contains`` is given, that text must
    be in what it writes to standard output and standard error.
    """

    kind: TestKind
    words: tuple[str, ...]
    contains: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowSettings:
    """What ``waas.yaml`` says. ``may_run`` empty: everybody. ``images``: step to tests.

    ``places`` are those of the sites, ``image_places`` those of the keys of ``images``.
    """

    title: str = ""
    description: str = ""
    license: str = ""
    maintainers: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    may_run: tuple[str, ...] = ()
    smoke_test: SmokeTest | None = None
    places: tuple[Located, ...] = ()
    images: Mapping[str, tuple[ImageTest, ...]] = field(default_factory=dict)
    image_places: tuple[Located, ...] = ()


def read_workflow_settings(data: bytes, path: str) -> WorkflowSettings:
    """Read the file. Raises ``EntryError`` with the place of the first thing that is wrong."""
    items = load(data, path).only(_KEYS, "waas.yaml")
    sites = _names(items, "sites")
    images = items["images"].mapping("images") if "images" in items else {}
    return WorkflowSettings(
        title=_text(items, "title"),
        description=_text(items, "description"),
        license=_text(items, "license"),
        maintainers=_maintainers(items),
        sites=tuple(site.text for site in sites),
        may_run=tuple(user.text for user in _names(items, "may_run")),
        smoke_test=_smoke_test(items["smoke_test"]) if "smoke_test" in items else None,
        places=tuple(sites),
        images={step: _tests(step, image) for step, image in images.items()},
        image_places=tuple(items["images"].key(step) for step in images),
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


def _tests(step: str, image: Located) -> tuple[ImageTest, ...]:
    items = image.only(("test",), f"images: {step[:80]}")
    tests = items["test"].sequence("test") if "test" in items else []
    if len(tests) > MAX_TESTS:
        raise tests[MAX_TESTS].error(f"more than {MAX_TESTS} tests of one image")
    return tuple(_test(test) for test in tests)


def _test(value: Located) -> ImageTest:
    kinds: tuple[TestKind, ...] = get_args(TestKind)
    items = value.only((*kinds, "contains"), "a test")
    given = [kind for kind in kinds if kind in items]
    if len(given) != 1:
        hint = "`- import: [module]`, `- run: [command, argument]` or `- version: […]`"
        raise value.error(f"a test says one of {', '.join(kinds)}", hint=hint)
    kind, contains = given[0], items.get("contains")
    if kind == "import" and contains is not None:
        raise value.key_error("contains", "an import writes nothing that could be looked at")
    if kind == "version" and contains is None:
        raise items[kind].error("which version must it be?", hint='add `contains: "1.2"`')
    text = _word(contains, "contains") if contains is not None else ""
    if contains is not None and not text:
        raise contains.error("contains: is in everything")
    return ImageTest(kind, _words(kind, items[kind]), text)


def _words(kind: TestKind, value: Located) -> tuple[str, ...]:
    listed = value.sequence(kind) if kind != "import" or value.is_list else [value]
    if not listed:
        raise value.error(f"{kind}: names nothing")
    if len(listed) > MAX_WORDS:
        raise listed[MAX_WORDS].error(f"{kind}: more than {MAX_WORDS} entries")
    words = tuple(_word(item, f"an entry of {kind}") for item in listed)
    if kind == "import":
        wrong = next((i for i, word in enumerate(words) if not _MODULE.fullmatch(word)), None)
        if wrong is not None:
            hint = "as it stands after `import`: `numpy`, `os.path`"
            raise listed[wrong].error(f"{words[wrong][:80]!r} is no Python module", hint=hint)
    elif not words[0] or words[0].startswith("-"):
        raise listed[0].error(f"{kind}: {words[0][:80]!r} is no command")
    return words


def _word(item: Located, what: str) -> str:
    text = item.string(what)
    if not text.isprintable():
        raise item.error(f"{what}: a control character in {text[:80]!r}")
    if len(text) > _LONGEST_WORD:
        raise item.error(f"{what} is longer than {_LONGEST_WORD} characters")
    return text
