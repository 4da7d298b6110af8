from pathlib import Path

import pytest

from ci.errors import EntryError
from ci.target import Target
from hooks.cli.target_text import parse_target


def test_a_target_is_given_as_pairs() -> None:
    found = parse_target("microarchitecture=zen3, mpi=impi@2021.10.0,gpu=cuda@12.2")
    assert found == Target(
        microarchitecture="zen3", mpi="intel-oneapi-mpi@2021.10.0", gpu="cuda@12.2"
    )


def test_numbers_in_a_file_are_taken_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "target.yaml"
    file.write_text("gpu: cuda@12.10\ngpu_architecture: 80\nglibc: 2.10\nkernel: 5.10\n")
    assert parse_target(str(file)) == Target(
        gpu="cuda@12.10", gpu_architecture="8.0", glibc="2.10", kernel="5.10"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arch=zen3", "its fields are platform"),
        ("microarchitecture=zen33", "zen3"),
        ("mpi=openmpi@$(id)", "not `name`"),
        ("/no/such/file", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    with pytest.raises(EntryError, match=message):
        parse_target(text)


@pytest.mark.parametrize("content", ["- zen3\n", "microarchitectur: zen3\n", "mpi: [a]\n", "\xff"])
def test_mistakes_in_a_file_are_told_with_its_name(tmp_path: Path, content: str) -> None:
    file = tmp_path / "target.yaml"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(EntryError) as caught:
        parse_target(str(file))
    assert caught.value.path == str(file)


def test_a_platform_alone_means_its_generic_processor():
    assert parse_target("platform=linux/arm64").microarchitecture == "aarch64"
