"""Whether an image's folder is, byte by byte, what was signed when it was made."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.store import LOG, METADATA, SIF
from builder.supply import signature
from builder.supply.provenance import PREDICATE, STATEMENT
from builder.supply.signers import PublicKey
from ci.errors import SettingsError

NAMESPACE = "hpcwaas-image"
PROVENANCE = "provenance.json"
SIGNATURE = "provenance.json.sig"
SBOM = "sbom.cdx.json"
RECORDS = "records"
NOT_SIGNED = frozenset({LOG, PROVENANCE, SIGNATURE})

_MAX_STATEMENT = 16 << 20  # bytes
_HINT = "do not use it; remove it from the store and build it again"


@dataclass(frozen=True, slots=True)
class Verified:
    """What holds of an image: who signed it, what it is, and the statement that was signed."""

    signer: PublicKey
    key: str
    sha256: str  # of image.sif
    files: Mapping[str, str] = field(hash=False)  # name → SHA-256
    statement: Mapping[str, Any] = field(hash=False)


def verify(folder: Path, allowed: Sequence[PublicKey]) -> Verified:
    """Check an image's folder: signature, every file, and that metadata and statement agree.

    It reads all of the image: 1 to 2 seconds a gigabyte.

    Raises:
        SettingsError: something is not as it was signed; the message names the file.
    """
    statement, signer = read_statement(folder, allowed)
    subjects = subjects_of(statement)
    found = dict(files(folder))
    for name in sorted(subjects.keys() ^ (found.keys() - NOT_SIGNED)):
        what = "is missing" if name in subjects else "is not one of the signed files"
        raise SettingsError(f"{folder / name} {what}", hint=_HINT)
    for name, digest in sorted(subjects.items()):
        if digest_of(found[name]) != digest:
            raise SettingsError(f"{found[name]} is not what was signed", hint=_HINT)
    key = _agreed_key(folder, statement, subjects)
    return Verified(signer, key, subjects[SIF], subjects, statement)


def read_statement(
    folder: Path, allowed: Sequence[PublicKey]
) -> tuple[Mapping[str, Any], PublicKey]:
    """Read the statement in a folder, if an allowed key has signed it. Raises ``SettingsError``."""
    path = folder / PROVENANCE
    content, text = _read(path), _read(folder / SIGNATURE)
    try:
        signer = signature.verify(content, text.decode("ascii", "replace"), allowed, NAMESPACE)
    except SettingsError as error:
        message = f"{folder / SIGNATURE} does not prove {PROVENANCE}: {error.message}"
        raise SettingsError(message, hint=error.hint or _HINT) from None
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or (document.get("_type"), document.get("predicateType")) != (
        STATEMENT,
        PREDICATE,
    ):
        raise SettingsError(f"{path} is no statement of provenance", hint=_HINT)
    return document, signer


def subjects_of(statement: Mapping[str, Any]) -> dict[str, str]:
    """Return the files that a statement is about, name → SHA-256. Raises ``SettingsError``."""
    try:
        found = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    except (KeyError, TypeError):
        found = {}
    if not {SIF, METADATA} <= found.keys():
        raise SettingsError(f"{PROVENANCE} is not about an image", hint=_HINT)
    return found


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Go through the files of an image's folder. Raises ``SettingsError`` at links and the like."""
    try:
        for place, folders, names in os.walk(folder, onerror=_raise):
            for name in [*folders, *names]:
                path = Path(place) / name
                if path.is_symlink() or not (path.is_dir() or path.is_file()):
                    raise SettingsError(f"{path} is neither a file nor a folder", hint=_HINT)
                if path.is_file():
                    yield str(path.relative_to(folder)), path
    except OSError as error:
        raise SettingsError(f"cannot read the image {folder}: {error.strerror}") from error


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in lower-case hexadecimal. Raises ``SettingsError``."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error


def _agreed_key(folder: Path, statement: Mapping[str, Any], subjects: Mapping[str, str]) -> str:
    """Return the content key, if the metadata and the statement say the same."""
    path = folder / METADATA
    try:
        metadata = json.loads(_read(path))
        said = statement["predicate"]["buildDefinition"]["internalParameters"]["contentKey"]
        agree = (metadata["key"], metadata["digest"]) == (said, f"sha256:{subjects[SIF]}")
    except (ValueError, KeyError, TypeError, RecursionError):
        agree = False
    if not agree:
        raise SettingsError(f"{path} and {PROVENANCE} tell of different images", hint=_HINT)
    return str(said)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAX_STATEMENT + 1)
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint=_HINT) from error
    if len(content) > _MAX_STATEMENT:
        raise SettingsError(f"{path} is too large", hint=_HINT)
    return content


def _raise(error: OSError) -> None:
    raise error
