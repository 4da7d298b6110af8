from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from builder import sif
from builder.settings import BuilderSettings
from ci.errors import SettingsError


@pytest.fixture
def play(tmp_path: Path, builder_settings: BuilderSettings) -> Callable[[str], BuilderSettings]:
    """Settings whose apptainer is a piece of shell."""

    def make(code: str) -> BuilderSettings:
        program = tmp_path / "apptainer"
        program.write_text(f"#!/bin/sh\n{code}\n")
        program.chmod(0o755)
        return replace(builder_settings, apptainer=(str(program),))

    return make


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a:strange name,.tar"
    path.write_text("archive")
    return path


def test_the_file_appears_whole_and_alone(
    play: Callable[[str], BuilderSettings], archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    settings = play('[ -d "$APPTAINER_TMPDIR" ] && echo working && cp image.tar "$5"')
    lines: list[str] = []
    sif.convert(archive, out / "image.sif", settings, lines.append)
    assert lines == ["working"]
    assert [p.name for p in out.iterdir()] == ["image.sif"]
    assert (out / "image.sif").read_text() == "archive"


@pytest.mark.parametrize(("engine", "packer"), [("apptainer", "zstd"), ("singularity", "gzip")])
def test_old_singularity_gets_what_it_can_read(
    play: Callable[[str], BuilderSettings], archive: Path, tmp_path: Path, engine: str, packer: str
) -> None:
    settings = play('echo "$4" > image.sif')
    sif.convert(archive, tmp_path / "image.sif", settings, print, container_engine=engine)
    assert packer in (tmp_path / "image.sif").read_text()


def test_a_failure_is_quoted_and_leaves_nothing(
    play: Callable[[str], BuilderSettings], archive: Path, tmp_path: Path
) -> None:
    before = set(tmp_path.iterdir()) | {tmp_path / "apptainer"}
    with pytest.raises(SettingsError, match="no space left"):
        sif.convert(
            archive,
            tmp_path / "image.sif",
            play("echo half > image.sif; echo FATAL: no space left; exit 1"),
            print,
        )
    assert set(tmp_path.iterdir()) == before


def test_a_missing_program_is_said(builder_settings: BuilderSettings) -> None:
    assert "apptainer" in sif.available(replace(builder_settings, apptainer=("/no/apptainer",)))
