"""What package managers have left in an image, read from their own files; nothing is run.

Formats: dpkg's status (deb822(5)), Python's core metadata
(https://packaging.python.org/en/latest/specifications/core-metadata/) and direct_url.json (PEP
610), Spack's lock file (https://spack.readthedocs.io/en/latest/environments.html), easyconfigs.
What cannot be read is left out: it is an image's own business what it has in such places.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any

DPKG = "var/lib/dpkg/status"
DPKG_PARTS = "var/lib/dpkg/status.d/"  # images without dpkg have a file a package here
SPACK_LOCK = "opt/environment/spack.lock"
OS_RELEASE = ("etc/os-release", "usr/lib/os-release")

_PYTHON = re.compile(
    r"(?:.*/)?(?:site|dist)-packages/[^/]+(?:\.dist-info/METADATA|\.egg-info(?:/PKG-INFO)?)"
)
_EASYBUILD = re.compile(r"opt/easybuild/software/([^/]+)/([^/]+)/easybuild/[^/]+\.eb")
_EASYBUILD_LOG = re.compile(
    r"opt/easybuild/software/([^/]+)/([^/]+)/easybuild/easybuild-[^/]+\.log(?:\.(?:gz|bz2|xz))?"
)
_HEAD = 256 << 10  # bytes of a metadata file; the headers come before the description
_WHOLE = 64 << 20
_MAX_TEXT = 1000  # characters of one value that goes into a record


@dataclass(frozen=True, slots=True, order=True)
class DebianPackage:
    """An installed package; ``shared`` if several architectures of it may be (Multi-Arch)."""

    name: str
    version: str
    architecture: str = ""
    source: str = ""
    shared: bool = False


@dataclass(frozen=True, slots=True, order=True)
class PythonPackage:
    """A distribution; ``url`` is where it came from if not from an index."""

    name: str
    version: str
    license: str = ""
    url: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True, order=True)
class SpackPackage:
    """A concrete spec; ``variants`` as ``name=value``, sorted."""

    name: str
    version: str
    hash: str
    target: str = ""
    compiler: str = ""
    namespace: str = ""
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class EasyBuildModule:
    """An installed module; ``version`` is all of it, with toolchain and suffix."""

    name: str
    version: str
    toolchain: str = ""


def wanted(path: str) -> int:
    """Return how many bytes of a file are needed to know the packages, 0 if it says nothing."""
    name = path[path.rfind("/") + 1 :]
    if name in {"METADATA", "PKG-INFO", "direct_url.json"} or name.endswith(".egg-info"):
        return _HEAD
    if path in {DPKG, SPACK_LOCK}:
        return _WHOLE
    if path in OS_RELEASE or _EASYBUILD.fullmatch(path):
        return _HEAD
    if _EASYBUILD_LOG.fullmatch(path):
        return 1  # its name is enough
    in_parts = path.startswith(DPKG_PARTS) and not name.endswith(".md5sums")
    return _HEAD if in_parts else 0


def debian(files: Mapping[str, bytes]) -> tuple[DebianPackage, ...]:
    """Return the packages that dpkg knows as installed, sorted."""
    found = set()
    for path, content in files.items():
        if path == DPKG or path.startswith(DPKG_PARTS):
            for stanza in _stanzas(content):
                status = stanza.get("status", "install ok installed").split()
                package = _debian_package(stanza)
                if package.name and status[-1:] == ["installed"]:
                    found.add(package)
    return tuple(sorted(found))


def _debian_package(stanza: Mapping[str, str]) -> DebianPackage:
    return DebianPackage(
        name=_plain(stanza.get("package", "")),
        version=_plain(stanza.get("version", "")),
        architecture=_plain(stanza.get("architecture", "")),
        source=_plain(stanza.get("source", "").partition(" ")[0]),
        shared=stanza.get("multi-arch") == "same",
    )


def _stanzas(content: bytes) -> Iterator[dict[str, str]]:
    """Go through the stanzas of a deb822 text; of fields of several lines the first is kept."""
    fields: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").split("\n"):
        if line and line[0] not in " \t":
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        elif not line.strip() and fields:
            yield fields
            fields = {}
    if fields:
        yield fields


def python(files: Mapping[str, bytes]) -> tuple[PythonPackage, ...]:
    """Return the distributions below any ``site-packages`` or ``dist-packages``, sorted."""
    parser = BytesHeaderParser()
    found = []
    for path, content in files.items():
        if not _PYTHON.fullmatch(path):
            continue
        headers = parser.parsebytes(content)
        name, version = _plain(headers.get("Name", "")), _plain(headers.get("Version", ""))
        if name:
            said = _plain(headers.get("License-Expression") or headers.get("License", ""))
            url = _direct_url(files.get(path.rpartition("/")[0] + "/direct_url.json", b""))
            found.append(PythonPackage(name, version, said, url, path.rpartition("/")[0]))
    return tuple(sorted(found))


def _direct_url(content: bytes) -> str:
    document = _json(content)
    url = document.get("url")  # it may hold a password
    return _plain(re.sub(r"//[^/@]*@", "//", url[:_MAX_TEXT])) if isinstance(url, str) else ""


def spack(lock: bytes) -> tuple[SpackPackage, ...]:
    """Return the concrete specs of a lock file, sorted; none if it is not one."""
    specs = _json(lock).get("concrete_specs")
    if not isinstance(specs, dict):
        return ()
    pairs = ((key, spec) for key, spec in specs.items() if isinstance(spec, dict))
    found = (_spack_package(key, spec) for key, spec in pairs)
    return tuple(sorted(one for one in found if one.name))


def _spack_package(key: str, spec: Mapping[str, Any]) -> SpackPackage:
    parameters = _object(spec.get("parameters"))
    target = _object(spec.get("arch")).get("target", "")
    compiler = _object(spec.get("compiler"))
    return SpackPackage(
        name=_plain(spec.get("name", "")),
        version=_plain(spec.get("version", "")),
        hash=_plain(key),
        target=_plain(_object(target).get("name", "") if isinstance(target, dict) else target),
        compiler=_plain(f"{compiler['name']}@{compiler.get('version', '')}")
        if "name" in compiler
        else "",
        namespace=_plain(spec.get("namespace", "")),
        variants=tuple(f"{_plain(k)}={_variant(v)}" for k, v in sorted(parameters.items()) if v),
    )


def _variant(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_plain(one) for one in value)
    return _plain(value).lower() if isinstance(value, bool) else _plain(value)


def easybuild(files: Mapping[str, bytes]) -> tuple[EasyBuildModule, ...]:
    """Return the installed modules, sorted: by their easyconfig, or else the name of their log."""
    found: dict[tuple[str, str], EasyBuildModule] = {}
    for path, content in files.items():
        by_config, by_log = _EASYBUILD.fullmatch(path), _EASYBUILD_LOG.fullmatch(path)
        place = by_config or by_log
        name, version = (_plain(place[1]), _plain(place[2])) if place else ("", "")
        if name and version:
            toolchain = _toolchain(content) if by_config else ""
            if toolchain or (name, version) not in found:
                found[name, version] = EasyBuildModule(name, version, toolchain)
    return tuple(sorted(found.values()))


def _toolchain(content: bytes) -> str:
    """Return ``name/version``, read as text: an easyconfig is code, and this one a stranger's."""
    try:
        body = ast.parse(content).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    for statement in body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            continue
        if statement.targets[0].id == "toolchain":
            if isinstance(statement.value, ast.Name):
                return statement.value.id.lower()  # SYSTEM
            return _literal_toolchain(statement.value)
    return ""


def _literal_toolchain(node: ast.expr) -> str:
    try:
        value = _object(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return ""
    return _plain(f"{value.get('name', '')}/{value.get('version', '')}").strip("/")


def os_release(content: bytes) -> dict[str, str]:
    """Return the variables of an os-release(5)."""
    found = {}
    for line in content.decode("utf-8", "replace").split("\n"):
        name, equals, value = line.strip().partition("=")
        if equals and re.fullmatch(r"[A-Z0-9_]+", name, re.ASCII):
            found[name] = _plain(re.sub(r"""^(["'])(.*)\1$""", r"\2", value))
    return found


def _json(content: bytes) -> Mapping[str, Any]:
    try:
        return _object(json.loads(content))
    except (ValueError, RecursionError):
        return {}


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _plain(value: object) -> str:
    """Return a stranger's value as one line of printable text, not too long."""
    text = str(value).split("\n", 1)[0][:_MAX_TEXT].strip()
    return "".join(c if c.isprintable() else "?" for c in text)
