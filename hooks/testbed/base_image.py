"""Base images made on this machine, for where no container registry is in reach.

They are OCI image layouts (image-spec, image-layout.md) of one layer, tagged ``latest``:
``docker buildx build --build-context base=oci-layout://PATH``. The same packages give the same
digest: times are fixed and layers are not compressed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from hooks.testbed.cache import make_once
from hooks.testbed.setup import Progress, run_script

_SCRIPTS = Path(__file__).parent
_EPOCH = 1686355200  # 2023-06-10, the day of Debian 12; no file in a base image is younger
_CREATED = "2023-06-10T00:00:00Z"
_KIND = "application/vnd.oci.image"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def debian_base(cache: Path, progress: Progress = lambda _: None) -> Path:
    """Return the layout of a minimal Debian 12 with CA certificates, made at first use (20 s)."""
    return _base(cache / "base-debian-12", "make-debian.sh", progress)


def busybox_base(cache: Path, progress: Progress = lambda _: None) -> Path:
    """Return the layout of a static busybox and nothing else (2 MB), made at first use (5 s)."""
    return _base(cache / "base-busybox", "make-busybox.sh", progress)


def two_platform_base(cache: Path, progress: Progress = lambda _: None) -> Path:
    """Return the layout of a static busybox for linux/amd64 and linux/arm64, made at first use.

    Its one manifest is an image index (image-spec, image-index.md) of the two.
    """
    path = cache / "base-busybox-two-platforms"

    def make(part: Path) -> None:
        progress(f"making the base image {path.name}")
        roots = {
            name: partial(_make_root, "make-busybox.sh", path.name, name)
            for name in ("amd64", "arm64")
        }
        write_layout(part, roots)

    return make_once(path, make)


def layout_digest(layout: Path) -> str:
    """Return the digest of the manifest, or of the image index, that an OCI layout is of."""
    index = json.loads((layout / "index.json").read_text("utf-8"))
    return str(index["manifests"][0]["digest"])


def _base(path: Path, script: str, progress: Progress) -> Path:
    def make(part: Path) -> None:
        progress(f"making the base image {path.name}")
        write_layout(part, {"amd64": partial(_make_root, script, path.name, "amd64")})

    return make_once(path, make)


def _make_root(script: str, name: str, architecture: str, tar: Path) -> None:
    argv = ["env", f"SOURCE_DATE_EPOCH={_EPOCH}", "bash", str(_SCRIPTS / script)]
    run_script([*argv, str(tar), architecture], f"making the base image {name}")


def write_layout(layout: Path, roots: Mapping[str, Callable[[Path], None]]) -> None:
    """Write an OCI layout of an image for linux, or of an index of several.

    ``roots``: architecture → ``make(path)``, which writes the image's only layer as tar.
    """
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    images = [_put_image(blobs, name, make) for name, make in roots.items()]
    if len(images) > 1:
        images = [_put(blobs, _index(images), f"{_KIND}.index.v1+json")]
    images[0]["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (layout / "index.json").write_text(json.dumps(_index(images)), "utf-8")
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', "utf-8")
    for path in [layout, blobs.parent, blobs, *layout.rglob("*")]:
        os.chmod(path, 0o755 if path.is_dir() else 0o644)


def _index(images: list[dict[str, object]]) -> dict[str, object]:
    return {"schemaVersion": 2, "mediaType": f"{_KIND}.index.v1+json", "manifests": images}


def _put_image(
    blobs: Path, architecture: str, make_root: Callable[[Path], None]
) -> dict[str, object]:
    """Write the blobs of an image of one layer; return the descriptor of its manifest."""
    with tempfile.TemporaryDirectory(dir=blobs.parent) as folder:
        tar = Path(folder) / "layer.tar"
        make_root(tar)
        layer = _file_digest(tar)
        size = tar.stat().st_size
        shutil.move(tar, blobs / layer)
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": _CREATED,
        "config": {"Env": [_PATH], "Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        "history": [{"created": _CREATED, "created_by": "hpcwaas"}],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_KIND}.manifest.v1+json",
        "config": _put(blobs, config, f"{_KIND}.config.v1+json"),
        "layers": [
            {"mediaType": f"{_KIND}.layer.v1.tar", "digest": f"sha256:{layer}", "size": size}
        ],
    }
    entry = _put(blobs, manifest, f"{_KIND}.manifest.v1+json")
    entry["platform"] = {"architecture": architecture, "os": "linux"}
    return entry


def _put(blobs: Path, value: object, media_type: str) -> dict[str, object]:
    content = json.dumps(value, sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
