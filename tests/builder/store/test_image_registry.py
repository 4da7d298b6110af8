"""Images in a real registry: Debian's, on loopback."""

import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from store_images import make_folder

from builder.store.registry import RegistryStore
from ci.errors import EntryError, SettingsError, SiteError
from hooks.testbed.registry import Registry

pytestmark = pytest.mark.engine

Forked = Callable[[str, list[tuple[object, ...]]], list[int]]
Program = Callable[..., subprocess.CompletedProcess[str]]
KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def images(registry: Registry, tmp_path: Path) -> RegistryStore:
    return RegistryStore(registry.url, f"tests/{tmp_path.name.lower().strip('_')}")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_was_pushed_is_pulled_byte_by_byte(images: RegistryStore, tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    theirs.mkdir()
    make_folder(mine)
    assert not images.has(KEY)
    assert not images.pull(KEY, theirs)
    assert images.metadata(KEY) is None
    assert images.push(mine)
    assert images.has(KEY)
    assert images.pull(KEY, theirs)
    assert contents(theirs) == contents(mine)
    assert images.metadata(KEY) == (mine / "metadata.json").read_bytes()


def test_a_push_may_be_repeated_and_what_is_there_stays(
    images: RegistryStore, tmp_path: Path
) -> None:
    make_folder(tmp_path / "first")
    make_folder(tmp_path / "second", content=b"another")
    assert images.push(tmp_path / "first")
    assert not images.push(tmp_path / "first")
    assert not images.push(tmp_path / "second")
    assert images.metadata(KEY) == (tmp_path / "first" / "metadata.json").read_bytes()
    assert images.push(tmp_path / "second", replace=True)
    assert images.metadata(KEY) == (tmp_path / "second" / "metadata.json").read_bytes()


def test_keys_are_all_tags_that_are_keys_over_many_pages(
    images: RegistryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builder.store.distribution._TAGS_A_PAGE", 2)
    assert list(images.keys()) == []
    keys = [f"{number:064x}" for number in range(5)]
    for key in keys:
        make_folder(tmp_path / key, key)
        images.push(tmp_path / key)
    assert sorted(images.keys()) == keys
    with pytest.raises(EntryError):
        images.has("latest")


def test_the_artifact_is_as_the_specification_has_it(
    images: RegistryStore, registry: Registry, tmp_path: Path
) -> None:
    made = make_folder(tmp_path / "image")
    images.push(tmp_path / "image")
    repository = images.name.partition("/")[2]
    answer = requests.get(
        f"{registry.url}/v2/{repository}/manifests/{KEY}",
        headers={"Accept": "application/vnd.oci.image.manifest.v1+json"},
        timeout=10,
    )
    document = answer.json()
    assert document["artifactType"] == "application/vnd.hpcwaas.image.v1"
    (layer,) = document["layers"]
    assert (layer["mediaType"], layer["digest"]) == (
        "application/vnd.sylabs.sif.layer.v1.sif",
        made.digest,
    )
    assert document["annotations"]["org.hpcwaas.software-key"] == made.software_key


def test_apptainer_pulls_it(
    images: RegistryStore, apptainer: Path, tmp_path: Path, busybox_base: Path
) -> None:
    """A SIF of the size of a page: the pull is what is tested, not the image."""
    (tmp_path / "root").mkdir()
    (tmp_path / "tmp").mkdir()
    environment = {
        **os.environ,
        "APPTAINER_CACHEDIR": str(tmp_path / "cache"),
        "APPTAINER_TMPDIR": str(tmp_path / "tmp"),
    }
    sif = tmp_path / "made.sif"
    run = [str(apptainer), "build", str(sif), str(tmp_path / "root")]
    subprocess.run(run, env=environment, check=True, capture_output=True)
    make_folder(tmp_path / "image", content=sif.read_bytes())
    images.push(tmp_path / "image")
    run = [str(apptainer), "pull", "--no-https", str(tmp_path / "got.sif")]
    done = subprocess.run(
        [*run, f"oras://{images.name}:{KEY}"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got.sif").read_bytes() == sif.read_bytes()


def test_a_large_image_needs_little_memory(
    images: RegistryStore, registry: Registry, tmp_path: Path, program: Program
) -> None:
    make_folder(tmp_path / "image", content=os.urandom(1 << 20) * 160)
    text = """
import pathlib, sys
from builder.store.registry import RegistryStore
from peak_memory import peak
url, repository, folder, into = sys.argv[1:]
images = RegistryStore(url, repository)
before = peak()
images.push(pathlib.Path(folder))
images.pull("a" * 64, pathlib.Path(into))
print((peak() - before) // 1024)
"""
    (tmp_path / "into").mkdir()
    repository = images.name.partition("/")[2]
    done = program(text, registry.url, repository, tmp_path / "image", tmp_path / "into")
    assert int(done.stdout) < 60, done.stderr  # MiB, of 160
    assert (tmp_path / "into" / "image.sif").stat().st_size == 160 << 20


def test_an_image_that_is_damaged_here_is_not_spread(images: RegistryStore, tmp_path: Path) -> None:
    make_folder(tmp_path / "image")
    (tmp_path / "image" / "image.sif").write_bytes(b"SIV")
    with pytest.raises(SettingsError, match="not the image that was built"):
        images.push(tmp_path / "image")
    assert not images.has(KEY)


def test_links_do_not_go_to_a_registry(images: RegistryStore, tmp_path: Path) -> None:
    make_folder(tmp_path / "image")
    (tmp_path / "image" / "records" / "x").symlink_to("/etc/passwd")
    with pytest.raises(SettingsError, match="no regular file"):
        images.push(tmp_path / "image")


def blobs(registry: Registry) -> list[Path]:
    return list((registry.folder / "data/docker/registry/v2/blobs").glob("*/*/*/data"))


def test_a_flipped_byte_in_the_registry_is_refused(own_registry: Registry, tmp_path: Path) -> None:
    images = RegistryStore(own_registry.url, "images")
    make_folder(tmp_path / "image", content=b"a SIF of some length")
    images.push(tmp_path / "image")
    for blob in blobs(own_registry):
        content = blob.read_bytes()
        into = tmp_path / "into"
        into.mkdir()
        blob.write_bytes(bytes([content[0] ^ 1]) + content[1:] if content else b"x")
        if content != b"{}":
            with pytest.raises(SiteError):
                images.pull(KEY, into)
            assert not list(into.iterdir())
        into.rmdir()
        blob.write_bytes(content)


@pytest.fixture
def closed(registry_program: Path, tmp_path: Path) -> Registry:
    return Registry(registry_program, tmp_path / "closed", user="ada", password="s3cr3t")


def test_user_and_password_come_from_a_file(
    closed: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    login = tmp_path / "login"
    login.write_text("ada:s3cr3t\n")
    login.chmod(0o600)
    make_folder(tmp_path / "image")
    with closed:
        assert RegistryStore(closed.url, "images", login).push(tmp_path / "image")
        assert RegistryStore(closed.url, "images", login).has(KEY)
        for text, mode, told in [
            ("ada:wrong", 0o600, r"does not let us in \(401\)"),
            ("ada", 0o600, "not one line of user:password"),
            ("ada:s3cr3t", 0o644, "others may read"),
        ]:
            login.write_text(text)
            login.chmod(mode)
            with pytest.raises(SettingsError, match=told) as caught:
                RegistryStore(closed.url, "images", login).has(KEY)
            assert "s3cr3t" not in str(caught.value)
        with pytest.raises(SettingsError, match="does not let us in"):
            RegistryStore(closed.url, "images").has(KEY)
    assert "s3cr3t" not in caplog.text


def test_a_registry_that_is_away_is_a_transient_fault(own_registry: Registry) -> None:
    images = RegistryStore(own_registry.url, "images")
    own_registry.stop()
    with pytest.raises(SiteError, match="cannot reach the registry") as caught:
        images.has(KEY)
    assert caught.value.transient


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("ftp://host", "a"),
        ("host:5000", "a"),
        ("https://ada:secret@host", "a"),
        ("https://host", "../a"),
        ("https://host", "A"),
        ("https://host", "a b"),
        ("https://host", ""),
    ],
)
def test_wrong_addresses_are_told_without_what_is_secret(url: str, repository: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RegistryStore(url, repository)
    assert "secret" not in str(caught.value)


# Each child counts its requests and answers, and dies before the n-th of them.
KILLED = """
import os, pathlib, signal, sys
from builder.store import distribution
from builder.store.registry import RegistryStore

def run(url, repository, folder, fatal):
    count = 0
    def counted(method):
        def acting(*arguments, **named):
            nonlocal count
            count += 1
            if count == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments, **named)
        return acting
    for name in ("_send", "_check"):
        method = getattr(distribution.Distribution, name)
        setattr(distribution.Distribution, name, counted(method))
    RegistryStore(url, repository).push(pathlib.Path(folder))
    return count
"""


def test_a_push_that_is_killed_leaves_no_image_and_may_be_repeated(
    images: RegistryStore, registry: Registry, tmp_path: Path, forked: Forked
) -> None:
    made, into = tmp_path / "image", tmp_path / "into"
    make_folder(made)
    name = images.name.partition("/")[2]
    (points,) = forked(KILLED, [(registry.url, f"{name}/0", made, 0)])
    assert points > 10
    jobs: list[tuple[object, ...]] = [
        (registry.url, f"{name}/{point}", made, point) for point in range(1, points + 1)
    ]
    assert set(forked(KILLED, jobs)) == {-signal.SIGKILL}
    for point in range(1, points + 1):
        store = RegistryStore(registry.url, f"{name}/{point}")
        last = point == points  # the answer to the last request was on its way
        assert store.has(KEY) is last
        assert list(store.keys()) == [KEY] * last
        if point % 8:
            continue
        assert store.push(made) is not last
        into.mkdir()
        assert store.pull(KEY, into)
        assert contents(into) == contents(made)
        shutil.rmtree(into)


FULL = """
import pathlib, resource, sys
from builder.store.registry import RegistryStore
from ci.errors import SettingsError
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    RegistryStore(sys.argv[1], sys.argv[2]).pull("a" * 64, pathlib.Path(sys.argv[3]))
except SettingsError as error:
    print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limits on files")
def test_a_full_disk_while_pulling_is_told_and_leaves_nothing(
    images: RegistryStore, registry: Registry, tmp_path: Path, program: Program
) -> None:
    make_folder(tmp_path / "image", content=b"x" * 5000)
    images.push(tmp_path / "image")
    into = tmp_path / "into"
    into.mkdir()
    done = program(FULL, registry.url, images.name.partition("/")[2], into)
    assert done.stdout == (
        f"cannot write {into}: File too large (free some space: waas images gc)\n"
    ), done.stderr
    assert not list(into.iterdir())


def test_metadata_are_the_config_so_that_they_are_small(
    images: RegistryStore, registry: Registry, tmp_path: Path
) -> None:
    make_folder(tmp_path / "image", content=b"x" * 100_000)
    images.push(tmp_path / "image")
    assert json.loads(images.metadata(KEY) or b"")["key"] == KEY
