import json
from pathlib import Path

import pytest

from builder.settings import resolve_base
from ci.errors import SettingsError
from hooks.testbed.base_image import write_layout

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def layout(folder: Path, *digests: str) -> Path:
    manifests = [{"digest": digest} for digest in digests]
    (folder / "index.json").write_text(json.dumps({"manifests": manifests}))
    return folder


def test_a_layout_is_pinned_to_its_image(tmp_path: Path) -> None:
    reference = f"oci-layout://{layout(tmp_path, ONE)}"
    assert resolve_base(reference) == (f"{reference}@{ONE}", ONE)


def test_a_layout_of_several_platforms_is_pinned_to_its_index(tmp_path: Path) -> None:
    def root(tar: Path) -> None:
        tar.write_bytes(b"")

    write_layout(tmp_path / "base", {"amd64": root, "arm64": root})
    _, digest = resolve_base(f"oci-layout://{tmp_path / 'base'}")
    index = json.loads((tmp_path / "base" / "blobs" / digest.replace(":", "/")).read_text())
    found = [one["platform"]["architecture"] for one in index["manifests"]]
    assert found == ["amd64", "arm64"]


def test_a_digest_is_taken_as_it_is(tmp_path: Path) -> None:
    for name in ("docker-image://debian", f"oci-layout://{tmp_path}"):
        assert resolve_base(f"{name}@{TWO}") == (f"{name}@{TWO}", TWO)


def test_a_tag_is_looked_up_at_the_registry(tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\n[ "$6" = debian:12 ] && [ "$X" = 1 ] && echo {ONE}\n')
    docker.chmod(0o755)
    found = resolve_base("docker-image://debian:12", (str(docker),), {"X": "1"})
    assert found == (f"docker-image://debian:12@{ONE}", ONE)


def test_what_cannot_be_pinned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="2 images"):
        resolve_base(f"oci-layout://{layout(tmp_path, ONE, TWO)}")
    with pytest.raises(SettingsError, match="no OCI layout"):
        resolve_base(f"oci-layout://{tmp_path / 'nothing'}")
    with pytest.raises(SettingsError, match="neither"):
        resolve_base("debian:12")
    with pytest.raises(SettingsError, match="cannot ask"):
        resolve_base("docker-image://debian:12", ("/no/docker",))
    with pytest.raises(SettingsError, match="no digest"):
        resolve_base("docker-image://debian@sha256:12")
