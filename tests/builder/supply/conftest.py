"""Tars that somebody made, and a sealed image to break."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from backports import zstd
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from builder.store import SIF, Image
from builder.supply.inventory import inventory
from builder.supply.provenance import Origin
from builder.supply.seal import seal
from builder.supply.signature import public_key
from ci.target import Target

PACK = {
    "": lambda data: data,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstd.compress,
}


def _tar(
    *files: tuple[str, bytes | str | None] | tarfile.TarInfo, form: int = tarfile.PAX_FORMAT
) -> bytes:
    """Return a tar: (path, bytes) a file, (path, "→ x") a link, (path, "= x") a hard link,
    (path, None) a folder."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
        for one in files:
            if isinstance(one, tarfile.TarInfo):
                archive.addfile(one)
                continue
            info = tarfile.TarInfo(one[0])
            content = one[1]
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type = tarfile.SYMTYPE if content.startswith("→") else tarfile.LNKTYPE
                info.linkname = content[2:]
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return raw.getvalue()


@pytest.fixture
def tar_of() -> Callable[..., bytes]:
    return _tar


def _write_layout(folder: Path, layers: Sequence[bytes], pack: str = "") -> Path:
    """Write an OCI layout with these layers."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    found = [put(PACK[pack](layer)) for layer in layers]
    manifest = put(json.dumps({"schemaVersion": 2, "layers": found}).encode())
    index = {"schemaVersion": 2, "manifests": [manifest]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


@pytest.fixture
def layout(tmp_path: Path) -> Callable[..., Path]:
    """Make a layout: ``layout(tar, tar, pack="gzip")``."""
    return lambda *layers, pack="": _write_layout(tmp_path / "layout", layers, pack)


def _elf(version: Sequence[int], *, wide: bool = True, order: str = "<") -> bytes:
    """Return an ELF file with nothing but the note NT_GNU_ABI_TAG (elf(5))."""
    note = struct.pack(order + "3I", 4, 16, 1) + b"GNU\0" + struct.pack(order + "4I", 0, *version)
    ident = b"\x7fELF" + bytes([1 + wide, 1 + (order == ">"), 1]) + bytes(9)
    if wide:
        header = struct.pack(order + "2HI3QI6H", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        program = struct.pack(order + "2I6Q", 4, 4, 120, 0, 0, len(note), len(note), 4)
    else:
        header = struct.pack(order + "2HI3II6H", 3, 3, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
        program = struct.pack(order + "8I", 4, 84, 0, 0, len(note), len(note), 4, 4)
    return ident + header + program + note


@pytest.fixture
def elf_with_note() -> Callable[..., bytes]:
    return _elf


@pytest.fixture
def openssh_accepts(tmp_path: Path) -> Callable[[bytes, str, str], bool]:
    """Say whether the real ``ssh-keygen`` accepts a signature: ``(data, signature, signers)``."""

    def accepts(data: bytes, text: str, signers: str) -> bool:
        (tmp_path / "sig").write_text(text)
        (tmp_path / "signers").write_text(signers)
        argv = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "signers"), "-I", "hpcwaas"]
        argv += ["-n", "hpcwaas-image", "-s", str(tmp_path / "sig")]
        return subprocess.run(argv, input=data, capture_output=True).returncode == 0

    return accepts


@dataclass
class Sealed:
    """An image's folder, complete, and the key that signed it."""

    folder: Path
    image: Image
    key: Ed25519PrivateKey
    signers: tuple = field(default_factory=tuple)


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    """An image with two packages in it."""
    sif = b"SIF" * 1000
    status = b"Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\nArchitecture: amd64\n"
    tree = tmp_path / "tree"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    (tree / "var/lib/dpkg/status").write_bytes(status)
    dist = tree / "usr/lib/python3/dist-packages/x-1.dist-info"
    dist.mkdir(parents=True)
    (dist / "METADATA").write_text("Name: x\nVersion: 1\n\ntext")
    folder = tmp_path / "part"
    folder.mkdir()
    (folder / SIF).write_bytes(sif)
    (folder / "recipe").write_text("FROM base\n")
    (folder / "build.log").write_text("built\n")
    image = Image(
        key="ab" * 32,
        digest="sha256:" + hashlib.sha256(sif).hexdigest(),
        oci_digest="sha256:" + "1" * 64,
        base_digest="sha256:" + "2" * 64,
        workflow="flow",
        step="hello",
        target=Target(),
        environment={"apt": ["libc6"]},
        created="2026-01-01T00:00:00.000+00:00",
        size=len(sif),
        duration=1.0,
        builder="hpcwaas 0.1 fake",
    )
    origin = Origin(
        commit="c" * 40,
        sources={"step/run.sh": "3" * 64},
        backend="fake",
        version="0.1",
        started="2026-01-01T00:00:00Z",
        finished="2026-01-01T00:00:01Z",
        invocation="one",
    )
    key = Ed25519PrivateKey.generate()
    seal(folder, image, found=inventory(tree), origin=origin, key=key, source_date_epoch=0)
    return Sealed(folder, image, key, (public_key(key),))
