import hashlib
import json
import tarfile
from pathlib import Path

from hooks.testbed.base_image import busybox_base as make_busybox_base
from hooks.testbed.base_image import layout_digest, write_layout
from hooks.testbed.setup import Tools


def _some_root(tar: Path) -> None:
    with tarfile.open(tar, "w") as archive:
        archive.addfile(tarfile.TarInfo("etc"))


def test_a_layout_names_its_blobs_by_their_content(tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", {"amd64": _some_root})
    blobs = tmp_path / "layout" / "blobs" / "sha256"
    for blob in blobs.iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    digest = layout_digest(tmp_path / "layout").removeprefix("sha256:")
    manifest = json.loads((blobs / digest).read_text())
    for part in [manifest["config"], *manifest["layers"]]:
        assert (blobs / part["digest"].removeprefix("sha256:")).stat().st_size == part["size"]
    assert sorted(entry.name for entry in (tmp_path / "layout").iterdir()) == [
        "blobs",
        "index.json",
        "oci-layout",
    ]


def test_the_same_content_has_the_same_digest(tmp_path: Path) -> None:
    write_layout(tmp_path / "one", {"amd64": _some_root})
    write_layout(tmp_path / "two", {"amd64": _some_root})
    assert layout_digest(tmp_path / "one") == layout_digest(tmp_path / "two")


def test_a_base_image_made_again_has_the_same_digest(
    testbed_tools: Tools, busybox_base: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    again = make_busybox_base(tmp_path, told.append)
    assert make_busybox_base(tmp_path, told.append) == again
    assert layout_digest(again) == layout_digest(busybox_base)
    assert told == ["making the base image base-busybox"]
