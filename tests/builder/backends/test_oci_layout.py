import json
import tarfile
from pathlib import Path
from typing import cast

import pytest

from builder.backends.oci_layout import archive, only_digest, settle, view
from ci.errors import SettingsError
from hooks.testbed.base_image import write_layout

EPOCH = 1704067200


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    folder = tmp_path / "layout"
    folder.mkdir()

    def make(tar: Path) -> None:
        with tarfile.open(tar, "w") as archive:
            archive.addfile(tarfile.TarInfo("file"))

    write_layout(folder, {"amd64": make})
    return folder


def config_of(layout: Path) -> dict[str, object]:
    def blob(digest: str) -> dict[str, dict[str, str]]:
        return dict(json.loads((layout / "blobs" / digest.replace(":", "/")).read_text()))

    return dict(blob(blob(only_digest(layout))["config"]["digest"]))


def age(layout: Path, created: str) -> None:
    """Write another time of creation, as a build at another time does."""
    index = json.loads((layout / "index.json").read_text())
    manifest_path = layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")
    manifest = json.loads(manifest_path.read_text())
    path = layout / "blobs" / manifest["config"]["digest"].replace(":", "/")
    config = json.loads(path.read_text())
    config["created"] = config["history"][0]["created"] = created
    path.write_text(json.dumps(config))


def test_builds_at_different_times_give_the_same_image(layout: Path) -> None:
    found = set()
    for created in ("2031-01-01T00:00:00.123Z", "2032-01-01T00:00:00Z"):
        age(layout, created)
        found.add(settle(layout, EPOCH))
        assert only_digest(layout) in found
    assert len(found) == 1
    assert config_of(layout)["created"] == "2024-01-01T00:00:00Z"
    assert len(list((layout / "blobs" / "sha256").iterdir())) == 3


def test_what_is_older_keeps_its_time(layout: Path) -> None:
    settle(layout, EPOCH)
    (entry,) = cast("list[dict[str, str]]", config_of(layout)["history"])
    assert entry["created"] == "2023-06-10T00:00:00Z"


def test_archives_of_the_same_layout_are_the_same(layout: Path, tmp_path: Path) -> None:
    archive(layout, tmp_path / "one")
    (layout / "index.json").touch()
    archive(layout, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with tarfile.open(tmp_path / "one") as made:
        assert {"index.json", "oci-layout"} <= set(made.getnames())


def test_a_view_holds_one_image_and_copies_nothing(layout: Path, tmp_path: Path) -> None:
    digest = only_digest(layout)
    view(layout, digest, tmp_path / "view")
    assert only_digest(tmp_path / "view") == digest
    assert config_of(tmp_path / "view") == config_of(layout)
    assert (tmp_path / "view" / "blobs").is_symlink()


def test_a_base_that_is_not_what_its_digest_says_is_refused(layout: Path, tmp_path: Path) -> None:
    digest = only_digest(layout)
    blob = layout / "blobs" / digest.replace(":", "/")
    blob.write_text(blob.read_text() + " ")
    with pytest.raises(SettingsError, match="damaged"):
        view(layout, digest, tmp_path / "view")
    with pytest.raises(SettingsError, match="does not hold"):
        view(layout, "sha256:" + "0" * 64, tmp_path / "view")
