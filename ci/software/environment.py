"""The software environment of a step, as the files in its folder say it.

Read are ``eflows4hpc.yaml|yml`` (keys ``apt``, ``pip``, ``spack: {specs: …}`` and ours,
``easybuild``), ``spack.yaml|yml`` (https://spack.readthedocs.io, key ``spack: {specs: …}``),
``requirements.txt`` (https://pip.pypa.io, requirement specifiers only), ``post_inst.sh`` and
``env.sh``. Pure: text in, values out. Each value is a stranger's string until its pattern has
been checked; what is not understood is an error, never left out.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

import yaml

from ci.errors import EntryError

POST_INSTALL = "post_inst.sh"
ENV_SCRIPT = "env.sh"
REQUIREMENTS = "requirements.txt"
MAX_BYTES = 256 * 1024  # the public registry's largest such file has 1 KiB
MAX_ENTRY = 4000  # characters; a spec with a list of applications has 200

# Debian Policy 5.6.1 (package names) and 5.6.12 (versions). A last "-" is apt's word for "remove".
_APT = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](=[0-9][A-Za-z0-9.+~:-]*)?", re.ASCII)
# What may stand in a spec; ``ci.spack.specs`` reads it.
_SPACK = re.compile(r"""[A-Za-z0-9][A-Za-z0-9_.@=+~%:,/^* \[\]"'-]*""", re.ASCII)
_EASYCONFIG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*\.eb", re.ASCII)


@dataclass(frozen=True, slots=True)
class SoftwareEnvironment:
    """What a step needs: package names, requirement lines, specs, easyconfig names.

    A requirement line may end in hashes, as pip writes them: ``name==1.0 --hash=sha256:…``; then
    all of them do. ``pip_lock`` says that ``pip`` is a complete, pinned list, so that nothing is
    to be resolved. ``post_install`` and ``env_script`` are paths inside the step's folder, or
    empty.
    """

    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    spack: tuple[str, ...] = ()
    easybuild: tuple[str, ...] = ()
    post_install: str = ""
    env_script: str = ""
    pip_lock: bool = False

    def to_dict(self) -> dict[str, object]:
        """Return the fields as plain JSON values, in declaration order."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


class _Place(NamedTuple):
    """Where a value stands, for the message; line and column count from 1."""

    path: str
    line: int = 0
    column: int = 0

    def error(self, message: str, *, hint: str = "") -> EntryError:
        return EntryError(message, path=self.path, line=self.line, column=self.column, hint=hint)


class _Item(NamedTuple):
    kind: str
    value: str
    place: _Place


def read_environment(files: Mapping[str, bytes], path: str) -> SoftwareEnvironment:
    """Read the software environment out of a step's files.

    Args:
        files: relative path inside the step's folder → content.
        path: the step's folder as the registry names it; messages begin with it.

    Raises:
        EntryError: with file, line and column of the first thing that is wrong.
    """
    found: dict[str, dict[str, None]] = {kind: {} for kind in _CHECKS}  # ordered sets
    for item in _items(files, path):
        if any(not character.isprintable() for character in item.value):
            raise item.place.error(f"a control character in the {item.kind} entry {item.value!r}")
        if len(item.value) > MAX_ENTRY:
            raise item.place.error(f"longer than {MAX_ENTRY} characters")
        found[item.kind][_CHECKS[item.kind](item.value, item.place)] = None
    return SoftwareEnvironment(
        **{kind: tuple(values) for kind, values in found.items()},
        post_install=POST_INSTALL if POST_INSTALL in files else "",
        env_script=ENV_SCRIPT if ENV_SCRIPT in files else "",
    )


def _items(files: Mapping[str, bytes], path: str) -> Iterator[_Item]:
    for stem, keys in (("eflows4hpc", _KEYS), ("spack", {"spack": _specs})):
        name = _only_spelling(files, path, stem)
        if name:
            where = f"{path}/{name}"
            yield from _document(_text(files[name], where), where, keys)
    if REQUIREMENTS in files:
        where = f"{path}/{REQUIREMENTS}"
        yield from _requirement_lines(_text(files[REQUIREMENTS], where), where)


def _only_spelling(files: Mapping[str, bytes], path: str, stem: str) -> str:
    names = [name for name in (f"{stem}.yaml", f"{stem}.yml") if name in files]
    if len(names) > 1:
        raise EntryError(
            f"both {names[0]} and {names[1]} are there", path=path, hint="keep one of them"
        )
    return names[0] if names else ""


def _text(content: bytes, path: str) -> str:
    if len(content) > MAX_BYTES:
        raise EntryError(f"larger than {MAX_BYTES // 1024} KiB", path=path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EntryError("not UTF-8 text", path=path, line=line) from None


_Reader = Callable[[str, yaml.Node, str], Iterator[_Item]]


def _document(text: str, path: str, keys: Mapping[str, _Reader]) -> Iterator[_Item]:
    root = _compose(text, path)
    if root is None or _is_null(root):
        return
    for key, value, place in _pairs(root, path, "the file"):
        if key not in keys:
            near = difflib.get_close_matches(key, keys, 1)
            known = ", ".join(keys)
            raise place.error(
                f"unknown key {key!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"known are: {known}",
            )
        yield from keys[key](key, value, path)


def _compose(text: str, path: str) -> yaml.Node | None:
    """Parse to nodes with marks; no value is constructed, so no tag can do anything."""
    try:
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = _Place(path, mark.line + 1, mark.column + 1) if mark else _Place(path)
        raise place.error(f"not valid YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise EntryError(f"not valid YAML: {error.reason}", path=path, line=line) from None
    except RecursionError:
        raise EntryError("nested too deeply", path=path, line=1) from None
    return root


def _pairs(node: yaml.Node, path: str, what: str) -> Iterator[tuple[str, yaml.Node, _Place]]:
    if not isinstance(node, yaml.MappingNode) or node.tag != "tag:yaml.org,2002:map":
        raise _place(node, path).error(f"{what} must be a mapping (lines of `key: value`)")
    seen: set[str] = set()
    for key, value in node.value:
        place = _place(key, path)
        name = _string(key, place, "a key")
        if name in seen:
            raise place.error(f"key {name!r} appears twice")
        seen.add(name)
        yield name, value, place


def _list(key: str, node: yaml.Node, path: str) -> Iterator[_Item]:
    if _is_null(node):
        return
    if not isinstance(node, yaml.SequenceNode) or node.tag != "tag:yaml.org,2002:seq":
        raise _place(node, path).error(f"{key} must be a list", hint="one `- name` per line")
    for child in node.value:
        place = _place(child, path)
        yield _Item(key, _string(child, place, f"an entry of {key}"), place)


def _specs(key: str, node: yaml.Node, path: str) -> Iterator[_Item]:
    if _is_null(node):
        return
    for name, value, place in _pairs(node, path, key):
        if name != "specs":
            raise place.error(
                f"{key}: only `specs` is supported, not {name!r}",
                hint="targets, views and configuration come from the site and the catalogue",
            )
        yield from (_Item(key, item.value, item.place) for item in _list("specs", value, path))


def _requirement_lines(text: str, path: str) -> Iterator[_Item]:
    for number, column, value in requirement_lines(text):
        yield _Item("pip", value, _Place(path, number, column))


def requirement_lines(text: str) -> Iterator[tuple[int, int, str]]:
    """The requirements of a ``requirements.txt`` with line and column, both from 1."""
    for number, line in enumerate(text.split("\n"), start=1):
        value = re.sub(r"(^|\s)#.*$", "", line).strip()  # pip's rule for comments
        if value:
            yield number, len(line) - len(line.lstrip()) + 1, value


def _string(node: yaml.Node, place: _Place, what: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str":
        raise place.error(f"{what} must be text", hint="put it in quotes if it is a name")
    return str(node.value)


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _place(node: yaml.Node, path: str) -> _Place:
    return _Place(path, node.start_mark.line + 1, node.start_mark.column + 1)


def _apt(value: str, place: _Place) -> str:
    if not _APT.fullmatch(value):
        raise place.error(
            f"{value!r} is no Debian package name", hint="`name` or `name=version`, in lower case"
        )
    return value


def _pip(value: str, place: _Place) -> str:
    if value.startswith("-"):
        raise place.error(
            f"pip options are not supported: {value!r}", hint="one requirement per line"
        )
    from packaging.requirements import InvalidRequirement, Requirement  # takes 20 ms

    try:
        requirement = Requirement(value)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise place.error(f"{value!r} is no pip requirement: {reason}") from None
    if requirement.url:
        raise place.error(
            f"{requirement.name!r} comes from a URL or a file", hint="name a released version"
        )
    return str(requirement)


def _spack(value: str, place: _Place) -> str:
    if not _SPACK.fullmatch(value):
        raise place.error(f"{value!r} is no Spack spec", hint="`name@version +variant key=value`")
    return " ".join(value.split())


def _easybuild(value: str, place: _Place) -> str:
    if not _EASYCONFIG.fullmatch(value):
        raise place.error(f"{value!r} is no easyconfig's file name", hint="`name-version….eb`")
    return value


_CHECKS: Mapping[str, Callable[[str, _Place], str]] = {
    "apt": _apt,
    "pip": _pip,
    "spack": _spack,
    "easybuild": _easybuild,
}
_KEYS: Mapping[str, _Reader] = {"apt": _list, "pip": _list, "spack": _specs, "easybuild": _list}
