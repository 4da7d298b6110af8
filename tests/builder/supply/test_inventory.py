from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.supply.inventory import Inventory, inventory, records
from builder.supply.packages import EasyBuildModule, SpackPackage
from ci.errors import EntryError, SettingsError

STATUS = b"""Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: glibc (2.36)
Version: 2.36-9+deb12u9
Description: text
 Package: not this
 .

Package: gone
Status: deinstall ok config-files
Version: 1

Package: held
Status: hold ok installed
Version: 1:2.0-1
Architecture: all
"""
METADATA = b"Metadata-Version: 2.1\nName: %b\nVersion: %b\nLicense: MIT\n\nName: not this\n"
EASYCONFIG = b"name = 'zlib'\nversion = '1.3'\ntoolchain = {'name': 'GCC', 'version': '12.3'}\n"
LOCK = {
    "_meta": {"file-type": "spack-lockfile"},
    "concrete_specs": {
        "abcd": {
            "name": "zlib",
            "version": "1.3",
            "arch": {"platform": "linux", "target": {"name": "zen3"}},
            "compiler": {"name": "gcc", "version": "12.2.0"},
            "namespace": "builtin",
            "parameters": {
                "optimize": True,
                "pic": False,
                "build_system": ["x", "y"],
                "cflags": [],
            },
        }
    },
}
DIST = "usr/lib/python3/dist-packages/x-1.dist-info"
FILES = (
    ("var/lib/dpkg/status", STATUS),
    (f"{DIST}/METADATA", METADATA % (b"x", b"1")),
    (f"{DIST}/direct_url.json", b'{"url": "https://me:secret@example.org/x.whl"}'),
    ("opt/venv/lib/python3.11/site-packages/y.egg-info/PKG-INFO", METADATA % (b"y", b"2")),
    ("usr/lib/python3/dist-packages/z.egg-info", METADATA % (b"z", b"3")),
    ("root/cache/w.dist-info/METADATA", METADATA % (b"w", b"4")),
    ("opt/environment/spack.lock", json.dumps(LOCK).encode()),
    ("opt/easybuild/software/zlib/1.3-GCC-12.3/easybuild/zlib-1.3.eb", EASYCONFIG),
    ("opt/easybuild/software/tool/2/easybuild/easybuild-tool-2.log.gz", b"\x1f\x8b"),
    ("etc/os-release", "→ ../usr/lib/os-release"),
    ("usr/lib/os-release", b'ID=debian\nVERSION_ID="12"\n# ID=no\nbad line\n'),
)


@pytest.fixture(params=["", "gzip", "zstd", "folder", "archive"])
def found(request: pytest.FixtureRequest, tar_of, layout, tmp_path: Path) -> Inventory:
    """The same image in each form."""
    tar = tar_of(*FILES)
    if request.param == "folder":
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            archive.extractall(tmp_path / "tree", filter="tar")
        return inventory(tmp_path / "tree")
    if request.param == "archive":
        made = layout(tar)
        with tarfile.open(tmp_path / "image.tar", "w") as archive:
            archive.add(made, ".")
        return inventory(tmp_path / "image.tar")
    return inventory(layout(tar, pack=request.param))


def test_every_manager_is_read_in_every_form(found: Inventory) -> None:
    assert [(p.name, p.version) for p in found.debian] == [
        ("held", "1:2.0-1"),
        ("libc6", "2.36-9+deb12u9"),
    ]
    assert found.debian[1].source == "glibc"
    assert [(p.name, p.version, p.license) for p in found.python] == [
        ("x", "1", "MIT"),
        ("y", "2", "MIT"),
        ("z", "3", "MIT"),
    ]
    assert found.python[0].url == "https://example.org/x.whl"
    variants = ("build_system=x,y", "optimize=true")
    assert found.spack == (
        SpackPackage("zlib", "1.3", "abcd", "zen3", "gcc@12.2.0", "builtin", variants),
    )
    assert found.easybuild == (
        EasyBuildModule("tool", "2"),
        EasyBuildModule("zlib", "1.3-GCC-12.3", "GCC/12.3"),
    )
    assert found.system == {"ID": "debian", "VERSION_ID": "12"}
    assert (found.glibc, found.kernel) == ("2.36", "")  # by the package: no library is there
    assert records(found) == {
        "dpkg.txt": b"held\t1:2.0-1\nlibc6:amd64\t2.36-9+deb12u9\n",
        "pip.txt": b"x==1\ny==2\nz==3\n",
        "spack.lock": json.dumps(LOCK).encode(),
        "easybuild.txt": b"tool/2\nzlib/1.3-GCC-12.3\n",
    }


def names(path: Path) -> list[str]:
    return [package.name for package in inventory(path).debian]


def part(name: str) -> tuple[str, bytes]:
    """A package in the form of images that have no dpkg."""
    return f"var/lib/dpkg/status.d/{name}", f"Package: {name}\nVersion: 1\n".encode()


def test_upper_layers_add_replace_and_remove(tar_of, layout) -> None:
    lower = tar_of(part("stays"), part("goes"), part("changes"))
    upper = tar_of(
        ("var/lib/dpkg/status.d/.wh.goes", b""),
        ("var/lib/dpkg/status.d/changes", b"Package: changed\nVersion: 2\n"),
        part("comes"),
        ("var/lib/dpkg/status.d/x.md5sums", b"Package: no\nVersion: 2\n"),
    )
    assert names(layout(lower, upper)) == ["changed", "comes", "stays"]


@pytest.mark.parametrize(
    "hiding",
    [
        ("var/lib/dpkg/status.d/.wh..wh..opq", b""),
        ("var/lib/.wh.dpkg", b""),
        ("var/lib/dpkg", b"now a file"),
        ("var/lib", "→ elsewhere"),
    ],
)
def test_a_folder_that_is_hidden_or_replaced_takes_all_with_it(tar_of, layout, hiding) -> None:
    assert names(layout(tar_of(part("one"), part("two")), tar_of(hiding))) == []


def test_a_file_that_becomes_a_folder_is_gone(tar_of, layout) -> None:
    name, _ = part("a")
    assert names(layout(tar_of(part("a"), part("b")), tar_of((name, None)))) == ["b"]


def test_an_opaque_folder_shows_what_its_own_layer_has(tar_of, layout) -> None:
    opaque = ("var/lib/dpkg/status.d/.wh..wh..opq", b"")
    for upper in ((part("new"), opaque), (opaque, part("new"))):
        folder = layout(tar_of(part("old")), tar_of(*upper))
        assert names(folder) == ["new"]
        subprocess.run(["rm", "-r", folder], check=True)


def test_a_whiteout_hides_nothing_of_its_own_layer(tar_of, layout) -> None:
    assert names(layout(tar_of(part("a"), ("var/lib/dpkg/status.d/.wh.a", b"")))) == ["a"]


def test_of_equal_names_in_a_layer_the_last_counts(tar_of, layout) -> None:
    name, _ = part("a")
    twice = tar_of(part("a"), (name, b"Package: b\nVersion: 1\n"))
    assert names(layout(twice)) == ["b"]


@pytest.mark.parametrize("target", ["var/lib/dpkg/status.d/a", "some/where/else"])
@pytest.mark.parametrize("below", [False, True])
def test_hard_links_are_the_file(tar_of, layout, target: str, below: bool) -> None:
    file = (target, b"Package: linked\nVersion: 1\n")
    link = ("var/lib/dpkg/status.d/z", f"= {target}")
    found = layout(tar_of(file), tar_of(link)) if below else layout(tar_of(file, link))
    assert names(found) == ["linked"]


def test_symbolic_links_are_followed_inside_the_image_only(tar_of, layout, tmp_path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("ID=secret\n")
    assert inventory(layout(tar_of(("etc/os-release", f"→ {outside}")))).system == {}
    tree = tmp_path / "tree"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/os-release").symlink_to(outside)
    (tree / "var").symlink_to(tmp_path)
    (tree / "usr").mkdir()
    (tree / "usr/lib").symlink_to(tmp_path)
    assert inventory(tree).system == {}


def test_links_in_a_circle_lead_nowhere(tar_of, layout) -> None:
    links = (
        ("etc/os-release", "→ /usr/lib/os-release"),
        ("usr/lib/os-release", "→ /etc/os-release"),
    )
    assert inventory(layout(tar_of(*links))).system == {}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/a/../x"])
def test_a_name_that_leads_out_is_refused(tar_of, layout, name: str) -> None:
    with pytest.raises(EntryError, match="leads out"):
        inventory(layout(tar_of((name, b"x"))))


def test_absolute_and_dotted_names_are_below_the_root(tar_of, layout) -> None:
    (one, first), (two, second) = part("a"), part("b")
    assert names(layout(tar_of((f"/{one}", first), (f".//{two}", second)))) == ["a", "b"]


def test_devices_and_pipes_are_not_read(tar_of, layout, tmp_path: Path) -> None:
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
    made = [tarfile.TarInfo(f"var/lib/dpkg/status.d/{number}") for number in range(3)]
    for info, kind in zip(made, kinds, strict=True):
        info.type = kind
    assert names(layout(tar_of(*made, part("a")))) == ["a"]
    folder = tmp_path / "tree/var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe")
    assert names(tmp_path / "tree") == []


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_are_read_in_both_forms(tar_of, layout, form: int) -> None:
    deep = "/".join(["d" * 60] * 20) + "/site-packages/" + "x" * 150 + ".dist-info/METADATA"
    tar = tar_of((deep, METADATA % (b"x", b"1")), part("é"), form=form)
    found = inventory(layout(tar))
    assert [p.name for p in found.python] == ["x"]
    assert [p.name for p in found.debian] == ["é"]


@pytest.mark.parametrize("platform", ["linux/amd64", "linux/arm64/v8"])
def test_one_of_several_platforms_is_chosen(tar_of, layout, platform: str) -> None:
    folder = layout(tar_of(part("a")))
    index = json.loads((folder / "index.json").read_text())
    one = index["manifests"][0]
    arm = {"os": "linux", "architecture": "arm64", "variant": "v8"}
    index["manifests"] = [
        one | {"platform": {"os": "linux", "architecture": "amd64"}},
        one | {"platform": arm},
        one | {"platform": {"os": "unknown", "architecture": "unknown"}},
    ]
    (folder / "index.json").write_text(json.dumps(index))
    assert [p.name for p in inventory(folder, platform=platform).debian] == ["a"]
    with pytest.raises(EntryError, match="not exactly one image for linux/riscv64"):
        inventory(folder, platform="linux/riscv64")


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}',
        b'{"manifests": [{"digest": "sha256:%b"}]}' % (b"0" * 64),
        b'{"manifests": [1]}',
    ],
)
def test_a_broken_layout_is_an_error_that_says_so(tar_of, layout, index: bytes) -> None:
    folder = layout(tar_of(part("a")))
    (folder / "index.json").write_bytes(index)
    with pytest.raises(EntryError, match="image"):
        inventory(folder)


def test_what_is_no_image_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 2000)
    with pytest.raises(EntryError, match="no OCI archive"):
        inventory(tmp_path / "file")
    with pytest.raises(EntryError, match="no OCI archive"):
        inventory(tmp_path / "nothing")


def test_what_managers_did_not_write_is_left_out(tar_of, layout) -> None:
    files = (
        ("var/lib/dpkg/status", b"\xff\xfe\0: x\nPackage\n: y\n\nPackage:\nVersion: 1\n"),
        (f"{DIST}/METADATA", b"\xff" * 1000),
        ("opt/environment/spack.lock", b'{"concrete_specs": {"a": 1, "b": {"arch": 3}}}'),
        ("opt/easybuild/software/a/1/easybuild/a.eb", b"toolchain = " + b"(" * 10_000),
        ("usr/lib/os-release", b"\xff=\nID='de\x07bian'\n"),
    )
    found = inventory(layout(tar_of(*files)))
    assert (found.debian, found.python, found.spack) == ((), (), ())
    assert found.easybuild == (EasyBuildModule("a", "1"),)
    assert found.system == {"ID": "de?bian"}


def test_the_c_library_says_its_version_and_its_kernel(
    tar_of, layout, elf_with_note: Callable[..., bytes]
) -> None:
    banner = b"GNU C Library (Debian GLIBC 2.31-13) stable release version 2.31.\n"
    library = elf_with_note((3, 2, 0)) + banner
    narrow = elf_with_note((2, 6, 32), wide=False) + banner.replace(b"2.31.", b"2.5.")
    found = inventory(
        layout(tar_of(("lib/libc.so.6", narrow), ("usr/lib/x86_64-linux-gnu/libc.so.6", library)))
    )
    assert (found.glibc, found.kernel) == ("2.31", "3.2.0")


def test_an_unreadable_folder_is_the_operators(tmp_path: Path, monkeypatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("builder.supply.tree.os.scandir", refuse)
    with pytest.raises(SettingsError, match="cannot look into the image"):
        inventory(tmp_path)


def test_the_debian_base_holds_what_dpkg_itself_says(debian_base: Path, tmp_path: Path) -> None:
    found = inventory(debian_base)
    assert (found.glibc, found.kernel, found.system["ID"]) == ("2.36", "3.2.0", "debian")
    layer = max((debian_base / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    with tarfile.open(layer) as archive:
        for member in archive:
            if member.name.removeprefix("./").startswith("var/lib/dpkg/"):
                archive.extract(member, tmp_path, filter="data")
    argv = ["dpkg-query", f"--admindir={tmp_path / 'var/lib/dpkg'}", "-W"]
    said = subprocess.run(argv, capture_output=True, check=True).stdout
    assert records(found)["dpkg.txt"].splitlines() == sorted(said.splitlines())


def test_a_busybox_image_has_nothing_of_all_that(busybox_base: Path) -> None:
    found = inventory(busybox_base)
    assert found == Inventory()
    assert records(found) == {}
