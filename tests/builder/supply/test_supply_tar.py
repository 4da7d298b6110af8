from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.supply.tar import Bounds, entries
from ci.errors import EntryError


class Bytes(io.BytesIO):
    """A source as a layer is one."""

    def jump(self, position: int) -> bool:
        self.seek(position)
        return True


class Zeros:
    """A file of so many zeros behind a header, as a bomb unpacks to."""

    def __init__(self, head: bytes, size: int) -> None:
        self._head, self._left = io.BytesIO(head), size

    def read(self, size: int) -> bytes:
        piece = self._head.read(size)
        if not piece:
            piece = bytes(min(size, self._left))
            self._left -= len(piece)
        return piece

    def jump(self, position: int) -> bool:
        return False


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def read(tar: bytes, **bounds: int) -> list[tuple[str, str, bytes]]:
    found = entries(Bytes(tar), Bounds(**bounds))
    return [(e.name, e.kind, e.read(10) if e.kind == "file" else b"") for e in found]


NAME = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300)


@given(
    st.lists(st.tuples(NAME, st.binary(max_size=2000)), max_size=6),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]),
)
def test_it_reads_what_tarfile_writes(files: list[tuple[str, bytes]], form: int) -> None:
    raw = io.BytesIO()
    written = []
    with tarfile.open(fileobj=raw, mode="w", format=form) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            with suppress(ValueError):  # ustar takes no such long names
                archive.addfile(info, io.BytesIO(content))
                kind = "folder" if name.endswith("/") else "file"
                written.append((name, kind, content[:10] if kind == "file" else b""))
    if all(kind == "file" for _, kind, _ in written):  # a folder has no content
        assert read(raw.getvalue()) == written


@given(st.binary(max_size=3000) | st.lists(st.binary(min_size=512, max_size=512)).map(b"".join))
def test_any_bytes_are_a_tar_or_an_error(raw: bytes) -> None:
    with suppress(EntryError):
        read(raw)


@given(st.data())
def test_a_tar_with_a_changed_byte_is_a_tar_or_an_error(draw: st.DataObject) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("x" * 200)
        info.size = 5
        archive.addfile(info, io.BytesIO(b"hello"))
    tar = bytearray(raw.getvalue()[:4096])
    tar[draw.draw(st.integers(0, len(tar) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(EntryError):
        read(bytes(tar))


def test_a_cut_tar_is_refused_and_one_without_end_blocks_is_not() -> None:
    tar = header("a", 600) + bytes(1024)
    assert read(tar) == [("a", "file", bytes(10))]
    for cut in (1000, 1300, 500):
        with pytest.raises(EntryError, match="ends too early"):
            read(tar[:cut])
    with pytest.raises(EntryError, match="ends too early"):
        read(header("a", 5 << 30))


def test_numbers_of_gnu_are_read() -> None:
    with pytest.raises(EntryError, match="ends too early"):
        read(header("a", 1 << 40))
    with pytest.raises(EntryError, match="exabytes"):
        read(header("a", 1 << 62))


def test_a_header_of_gigabytes_is_not_taken_into_memory() -> None:
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE):
        with pytest.raises(EntryError, match="more than 1 MiB"):
            read(header("a", 8 << 30, kind))


def test_a_bomb_ends_at_the_bound_and_in_little_memory() -> None:
    tracemalloc.start()
    with pytest.raises(EntryError, match="too many bytes"):
        list(entries(Zeros(header("a", 1 << 60), 1 << 60), Bounds(bytes=200 << 20)))
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_entries_are_counted_the_extended_headers_too() -> None:
    many = header("a", 0) * 1000
    assert len(read(many)) == 1000
    with pytest.raises(EntryError, match="too many entries"):
        read(many, entries=999)
    with pytest.raises(EntryError, match="too many entries"):
        read(header("a", 0, tarfile.GNUTYPE_LONGNAME) * 1000, entries=999)


def test_a_packed_bomb_is_unpacked_no_further_than_the_bound(tar_of, layout, monkeypatch) -> None:
    from builder.supply.inventory import inventory

    folder = layout(tar_of(("zeros", bytes(30 << 20))), pack="gzip")
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 100_000
    inventory(folder)
    monkeypatch.setattr("builder.supply.tree.Bounds", lambda: Bounds(bytes=10 << 20))
    with pytest.raises(EntryError, match="too many bytes"):
        inventory(folder)


@pytest.mark.parametrize("pack", ["gzip", "zstd"])
def test_a_damaged_layer_is_an_error(tar_of, layout, pack: str) -> None:
    from builder.supply.inventory import inventory

    folder = layout(tar_of(("a", bytes(range(256)) * 100)), pack=pack)
    layer = next(p for p in (folder / "blobs/sha256").iterdir() if p.read_bytes()[:1] != b"{")
    layer.write_bytes(layer.read_bytes()[:60])
    with pytest.raises(EntryError, match="layer"):
        inventory(folder)
    layer.write_bytes(gzip.compress(b"")[:-4] + b"xxxx")
    with pytest.raises(EntryError, match="layer"):
        inventory(folder)
