from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.supply.elf import glibc, oldest_kernel, wanted


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_note_says_the_oldest_kernel(elf_with_note, wide: bool, order: str) -> None:
    assert oldest_kernel(elf_with_note((4, 15, 3), wide=wide, order=order)) == "4.15.3"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_make_it_fail(elf_with_note: Callable[..., bytes], data: st.DataObject) -> None:
    library = bytearray(elf_with_note((3, 2, 0)))
    for _ in range(data.draw(st.integers(0, 8))):
        library[data.draw(st.integers(0, len(library) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(library)))
    assert isinstance(oldest_kernel(bytes(library[:cut])), str)


def test_other_files_say_nothing() -> None:
    assert oldest_kernel(b"") == ""
    assert oldest_kernel(b"\x7fELF") == ""
    assert oldest_kernel(b"#!/bin/sh\n" * 100) == ""


def test_the_version_is_told_by_the_library_then_its_name_then_the_package() -> None:
    banner = b"GNU C Library (GNU libc) stable release version 2.28.\n"
    assert glibc({"lib64/libc.so.6": banner}, "2.36-9")[0] == "2.28"
    assert glibc({"lib64/libc-2.17.so": b""}, "")[0] == "2.17"
    assert glibc({"lib64/libc.so.6": b""}, "2.36-9+deb12u1")[0] == "2.36"
    assert glibc({}, "") == ("", "")


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("lib/x86_64-linux-gnu/libc.so.6", True),
        ("usr/lib64/libc.so.6", True),
        ("usr/lib/aarch64-linux-gnu/libc-2.31.so", True),
        ("opt/spack/lib/libc.so.6", False),
        ("usr/lib/libc.so.60", False),
    ],
)
def test_only_the_systems_own_library_counts(path: str, is_one: bool) -> None:
    assert bool(wanted(path)) is is_one
