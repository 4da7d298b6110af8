"""The software environment of a step, as the files in its folder say it.

Read are ``eflows4hpc.yaml|yml`` (keys ``apt``, ``pip``, ``spack: {specs: …}`` and ours,
``easybuild``), ``spack.yaml|yml`` (https://spack.readthedocs.io, key ``spack: {specs: …}``),
``requirements.txt`` or ``requirements.lock`` (``ci.software.requirements``), ``post_inst.sh`` and
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
from ci.software.pip_entries import (
    Place,
    check_hashes,
    read_lock,
    read_requirement,
    requirement_items,
    text_of,
)
from ci.software.requirements import LOCK, REQUIREMENTS, PipRequirement

POST_INSTALL = "post_inst.sh"
ENV_SCRIPT = "env.sh"
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


class _Item(NamedTuple):
    kind: str
    value: str
    place: Place


def read_environment(files: Mapping[str, bytes], path: str) -> SoftwareEnvironment:
    """Read the software environment out of a step's files.

    Where there is a ``requirements.lock``, ``pip`` is what it lists, whatever the other files say:
    that these agree with it is for a rule to judge.

    Args:
        files: relative path inside the step's folder → content.
        path: the step's folder as the registry names it; messages begin with it.

    Raises:
        EntryError: with file, line and column of the first thing that is wrong.
    """
    found: dict[str, dict[str, None]] = {kind: {} for kind in _CHECKS}  # ordered sets
    asked: list[tuple[PipRequirement, Place]] = []
    for item in _items(files, path):
        if any(not character.isprintable() for character in item.value):
            raise item.place.error(
                f"a control character in the {item.kind} entry {item.value[:80]!r}"
            )
        if item.kind == "pip":
            asked.append((read_requirement(item.value, item.place), item.place))
        elif len(item.value) > MAX_ENTRY:
            raise item.place.error(f"longer than {MAX_ENTRY} characters")
        else:
            found[item.kind][_CHECKS[item.kind](item.value, item.place)] = None
    check_hashes(asked)
    locked = read_lock(files[LOCK], f"{path}/{LOCK}") if LOCK in files else None
    needed = [requirement for requirement, _ in asked] if locked is None else locked
    return SoftwareEnvironment(
        apt=tuple(found["apt"]),
        pip=tuple(dict.fromkeys(map(str, needed))),
        spack=tuple(found["spack"]),
        easybuild=tuple(found["easybuild"]),
        post_install=POST_INSTALL if POST_INSTALL in files else "",
        env_script=ENV_SCRIPT if ENV_SCRIPT in files else "",
        pip_lock=locked is not None,
    )


def _items(files: Mapping[str, bytes], path: str) -> Iterator[_Item]:
    for stem, keys in (("eflows4hpc", _KEYS), ("spack", {"spack": _specs})):
        name = _only_spelling(files, path, stem)
        if name:
            where = f"{path}/{name}"
            yield from _document(text_of(files[name], where), where, keys)
    if REQUIREMENTS in files:
        for value, place in requirement_items(files[REQUIREMENTS], f"{path}/{REQUIREMENTS}"):
            yield _Item("pip", value, place)


def _only_spelling(files: Mapping[str, bytes], path: str, stem: str) -> str:
    names = [name for name in (f"{stem}.yaml", f"{stem}.yml") if name in files]
    if len(names) > 1:
        raise EntryError(
            f"both {names[0]} and {names[1]} are there", path=path, hint="keep one of them"
        )
    return names[0] if names else ""


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
        place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
        raise place.error(f"not valid YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise EntryError(f"not valid YAML: {error.reason}", path=path, line=line) from None
    except RecursionError:
        raise EntryError("nested too deeply", path=path, line=1) from None
    return root


def _pairs(node: yaml.Node, path: str, what: str) -> Iterator[tuple[str, yaml.Node, Place]]:
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


def _string(node: yaml.Node, place: Place, what: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str":
        raise place.error(f"{what} must be text", hint="put it in quotes if it is a name")
    return str(node.value)


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _place(node: yaml.Node, path: str) -> Place:
    return Place(path, node.start_mark.line + 1, node.start_mark.column + 1)


def _apt(value: str, place: Place) -> str:
    if not _APT.fullmatch(value):
        raise place.error(
            f"{value!r} is no Debian package name", hint="`name` or `name=version`, in lower case"
        )
    return value


def _spack(value: str, place: Place) -> str:
    if not _SPACK.fullmatch(value):
        raise place.error(f"{value!r} is no Spack spec", hint="`name@version +variant key=value`")
    return " ".join(value.split())


def _easybuild(value: str, place: Place) -> str:
    if not _EASYCONFIG.fullmatch(value):
        raise place.error(f"{value!r} is no easyconfig's file name", hint="`name-version….eb`")
    return value


_CHECKS: Mapping[str, Callable[[str, Place], str]] = {
    "apt": _apt,
    "spack": _spack,
    "easybuild": _easybuild,
}
_KEYS: Mapping[str, _Reader] = {"apt": _list, "pip": _list, "spack": _specs, "easybuild": _list}
