import hashlib
import json
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from builder import sif
from builder.backends.seams import Built
from builder.settings import BuilderSettings
from ci.errors import SettingsError

Play = Callable[[str], BuilderSettings]


@pytest.fixture
def play(tmp_path: Path, builder_settings: BuilderSettings) -> Play:
    """Settings whose apptainer is a piece of shell."""

    def make(code: str) -> BuilderSettings:
        program = tmp_path / "apptainer"
        program.write_text(f"#!/bin/sh\n{code}\n")
        program.chmod(0o755)
        return replace(builder_settings, apptainer=(str(program),))

    return make


@pytest.fixture
def real(apptainer: Path, builder_settings: BuilderSettings) -> BuilderSettings:
    """Settings with the real program."""
    return replace(builder_settings, apptainer=(str(apptainer),))


@pytest.fixture
def archive(tmp_path: Path) -> Built:
    path = tmp_path / "a:strange name,.tar"
    path.write_text("archive")
    return Built(path, "oci-archive")


def packed(layout: Path, path: Path, labels: Mapping[str, str] | None = None) -> Built:
    """An archive of a layout of one image, with these labels in its configuration."""
    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(layout, index["manifests"][0]).read_text())
    config = json.loads(blob(layout, manifest["config"]).read_text())
    config["config"]["Labels"] = dict(labels or {})
    made = path.with_suffix(".layout")
    (made / "blobs" / "sha256").mkdir(parents=True)
    for part in manifest["layers"]:
        blob(made, part).symlink_to(blob(layout, part).resolve())
    manifest["config"] |= put(made, config)
    index["manifests"][0] |= put(made, manifest)
    (made / "index.json").write_text(json.dumps(index))
    (made / "oci-layout").write_text((layout / "oci-layout").read_text())
    with tarfile.open(path, "w", dereference=True) as tar:
        for entry in made.iterdir():
            tar.add(entry, entry.name)
    return Built(path, "oci-archive")


def blob(layout: Path, descriptor: Mapping[str, str]) -> Path:
    return layout / "blobs" / descriptor["digest"].replace(":", "/")


def put(layout: Path, value: object) -> dict[str, object]:
    content = json.dumps(value).encode()
    made = {"digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
    blob(layout, made).write_bytes(content)  # type: ignore[arg-type]
    return made


def test_the_file_appears_whole_and_alone(
    real: BuilderSettings, busybox_base: Path, tmp_path: Path
) -> None:
    built = packed(busybox_base, tmp_path / "a:strange name,.tar")
    (tmp_path / "out").mkdir()
    lines: list[str] = []
    sif.convert(built, tmp_path / "out" / "image.sif", real, lines.append)
    assert any("Creating SIF" in line for line in lines)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["image.sif"]
    argv = [*real.apptainer, "exec", str(tmp_path / "out" / "image.sif"), "/bin/echo", "runs"]
    assert subprocess.run(argv, capture_output=True, text=True).stdout == "runs\n"


def test_the_same_image_is_the_same_file(
    real: BuilderSettings, busybox_base: Path, tmp_path: Path
) -> None:
    built = packed(busybox_base, tmp_path / "image.tar")
    sif.convert(built, tmp_path / "one.sif", real, print)
    time.sleep(1.1)  # a SIF's times are in seconds
    sif.convert(built, tmp_path / "two.sif", real, print)
    assert (tmp_path / "one.sif").read_bytes() == (tmp_path / "two.sif").read_bytes()
    told = sif.labels(tmp_path / "one.sif", real)
    assert told["org.label-schema.build-date"] == "2024-01-01T00:00:00Z"


@pytest.mark.parametrize("has_namespaces", [True, False])
def test_a_folder_becomes_a_file_with_its_labels(
    real: BuilderSettings,
    busybox_base: Path,
    tmp_path: Path,
    has_namespaces: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_namespaces:
        monkeypatch.setattr(sif, "_root_namespace", lambda: None)
    built = packed(busybox_base, tmp_path / "image.tar", {"key": "it's 1"})
    argv = [*real.apptainer, "build", "--sandbox", "folder", "oci-archive:image.tar"]
    subprocess.run(argv, check=True, cwd=tmp_path, capture_output=True)
    folder = Built(tmp_path / "folder", "sandbox")
    for made in (built, folder):
        sif.convert(made, tmp_path / "image.sif", real, print, labels={"key": "it's 1"})
        assert sif.labels(tmp_path / "image.sif", real)["key"] == "it's 1"


def test_a_file_of_another_image_is_refused(
    real: BuilderSettings, busybox_base: Path, tmp_path: Path
) -> None:
    built = packed(busybox_base, tmp_path / "image.tar", {"key": "1"})
    for wanted in ({"key": "2"}, {"other": "1"}):
        with pytest.raises(SettingsError, match="has the label"):
            sif.convert(built, tmp_path / "image.sif", real, print, labels=wanted)
    assert not (tmp_path / "image.sif").exists()


def test_labels_of_what_is_no_image_are_refused(real: BuilderSettings, tmp_path: Path) -> None:
    (tmp_path / "image.sif").write_text("SIF_MAGIC")
    with pytest.raises(SettingsError, match="did not write a SIF"):
        sif.labels(tmp_path / "image.sif", real)
    with pytest.raises(SettingsError, match="cannot read the labels"):
        sif.labels(tmp_path / "nothing", real)


def test_labels_need_the_program(real: BuilderSettings, busybox_base: Path, tmp_path: Path) -> None:
    built = packed(busybox_base, tmp_path / "image.tar", {"key": "1"})
    sif.convert(built, tmp_path / "image.sif", real, print)
    with pytest.raises(SettingsError, match="cannot read the labels"):
        sif.labels(tmp_path / "image.sif", replace(real, apptainer=("/no/apptainer",)))


@pytest.mark.parametrize(("engine", "packer"), [("apptainer", "zstd"), ("singularity", "gzip")])
def test_old_singularity_gets_what_it_can_read(
    real: BuilderSettings, busybox_base: Path, tmp_path: Path, engine: str, packer: str
) -> None:
    built = packed(busybox_base, tmp_path / "image.tar")
    sif.convert(built, tmp_path / "image.sif", real, print, container_engine=f"{engine}@1")
    content = (tmp_path / "image.sif").read_bytes()
    # https://dr-emann.github.io/squashfs/squashfs.html, superblock: compressor at byte 20
    at = content.index(b"hsqs", 32176)
    assert content[at + 20] == {"zstd": 6, "gzip": 1}[packer]


def test_a_failure_is_quoted_and_leaves_nothing(play: Play, archive: Built, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir()) | {tmp_path / "apptainer"}
    failing = play("echo half > image.sif; echo FATAL: no space left; exit 1")
    with pytest.raises(SettingsError, match="no space left"):
        sif.convert(archive, tmp_path / "image.sif", failing, print)
    with pytest.raises(SettingsError, match="did not write a SIF"):
        sif.convert(archive, tmp_path / "image.sif", play("echo half > image.sif"), print)
    assert set(tmp_path.iterdir()) == before


def test_a_missing_program_is_said(builder_settings: BuilderSettings) -> None:
    assert "apptainer" in sif.available(replace(builder_settings, apptainer=("/no/apptainer",)))
