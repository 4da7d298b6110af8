"""What builds on this machine need to reach package servers: sources, pip's settings, a CA.

Networks have mirrors, proxies and certificate authorities of their own. What this machine uses
is handed to builds as secret mounts, so that no layer keeps it. Only what names something that a
build can reach is passed on: no ``file:`` index, no folder of wheels.
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

_REMOTE = frozenset({"http", "https", "mirror+http", "mirror+https"})
_PIP_PASSED = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
_PIP_SECTIONS = ("global", "install")
_CA_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
# statements of one line (apt.conf(5)) that say how to fetch
_APT_LINE = re.compile(
    r"\s*Acquire::((https?|ftp)::Proxy|Check-Valid-Until|Check-Date|Retries)\b[^{}]*;\s*",
    re.ASCII,
)


def detect_secrets(
    environ: Mapping[str, str], folder: Path, *, root: Path = Path("/")
) -> dict[str, Path]:
    """Write what builds need into ``folder`` (made 0700) and return secret id → file.

    Args:
        environ: of the service, for pip's and OpenSSL's variables.
        folder: for the files; they are rewritten each time.
        root: where ``etc`` is.

    The apt sources are those of this machine: right for a base image of the same release. Pass
    them only if the base image has none that it can reach.
    """
    pip = _pip_settings(environ, root)
    texts = {
        "aptsources": _apt_sources(root),
        "aptconf": _apt_conf(root),
        "pipconf": _pip_conf(pip),
    }
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found: dict[str, Path] = {}
    for name, text in texts.items():
        if text:
            found[name] = folder / name
            _write(found[name], text)
    named = [environ.get(variable, "") for variable in _CA_VARIABLES] + [pip.get("cert", "")]
    bundle = next((Path(name) for name in named if name and Path(name).is_file()), None)
    if bundle:
        found["ca"] = bundle
    return found


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.touch(mode=0o600)
    part.write_text(text, "utf-8")
    part.rename(path)


def _read_all(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        if path.is_file():
            yield path.read_text("utf-8", errors="replace")


def _apt_sources(root: Path) -> str:
    """All sources that can be reached over a network, as one file in deb822 (sources.list(5))."""
    apt = root / "etc/apt"
    parts = apt / "sources.list.d"
    stanzas = [
        stanza
        for text in _read_all(sorted(parts.glob("*.sources")))
        for stanza in _stanzas(text)
        if _is_reachable(stanza)
    ]
    for text in _read_all([apt / "sources.list", *sorted(parts.glob("*.list"))]):
        stanzas += filter(None, (_from_one_line(line) for line in text.splitlines()))
    return "\n\n".join(stanzas) + "\n" if stanzas else ""


def _stanzas(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [part.strip() for part in re.split(r"\n\s*\n", "\n".join(lines)) if part.strip()]


def _is_reachable(stanza: str) -> bool:
    uris = re.search(r"(?im)^URIs:(.*(\n[ \t].*)*)", stanza)
    off = re.search(r"(?im)^Enabled:\s*no", stanza)
    return bool(uris) and not off and all(map(_is_remote, uris.group(1).split() if uris else []))


def _from_one_line(line: str) -> str:
    """Turn ``deb [option=value …] uri suite component…`` into a stanza, or into nothing."""
    found = re.fullmatch(
        r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^#\s]+)*)\s*(#.*)?", line
    )
    if not found or not _is_remote(found[2]):
        return ""
    fields = {"Types": "deb", "URIs": found[2], "Suites": found[3]}
    if found[4].strip():
        fields["Components"] = " ".join(found[4].split())
    for option in (found[1] or "").split():
        name, _, value = option.partition("=")
        fields["Architectures" if name == "arch" else name.title()] = value.replace(",", " ")
    return "\n".join(f"{name}: {value}" for name, value in fields.items())


def _apt_conf(root: Path) -> str:
    apt = root / "etc/apt"
    texts = _read_all([apt / "apt.conf", *sorted((apt / "apt.conf.d").glob("*"))])
    lines = [line.strip() for text in texts for line in text.splitlines()]
    return "".join(f"{line}\n" for line in lines if _APT_LINE.fullmatch(line))


def _pip_settings(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """Merge pip's files and variables, the later over the earlier, as pip does."""
    home = Path(environ.get("HOME", "/nonexistent"))
    paths = [root / "etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
    if named := environ.get("PIP_CONFIG_FILE"):
        paths.append(Path(named))
    merged: dict[str, str] = {}
    for text in _read_all(paths):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue  # pip itself refuses such a file, so this machine does not use it
        for section in _PIP_SECTIONS:
            if parser.has_section(section):
                merged |= {k.replace("_", "-"): v for k, v in parser.items(section)}
    for name, value in environ.items():
        if name.startswith("PIP_"):
            merged[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return merged


def _pip_conf(settings: Mapping[str, str]) -> str:
    lines = []
    for name in _PIP_PASSED:
        values = settings.get(name, "").split()
        if name.endswith("index-url"):
            values = [value for value in values if _is_remote(value)]
        if values:
            lines.append(f"{name} = " + "\n    ".join(values))
    return "[global]\n" + "\n".join(lines) + "\n" if lines else ""


def _is_remote(url: str) -> bool:
    return urlsplit(url).scheme in _REMOTE
