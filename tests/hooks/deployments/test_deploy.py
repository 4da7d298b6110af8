from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from ci.errors import EntryError, SettingsError, SiteError
from ci.site import QueueSettings, Site, SitePaths, TransportSettings
from hooks.deployments.deploy import deploy
from hooks.deployments.manage import list_deployments, rollback, undeploy
from hooks.deployments.plan import ImageFile, Release
from hooks.sites.seams import Completed
from hooks.sites.transports.local import LocalTransport

OLD, NEW = "0" * 39 + "1", "0" * 39 + "2"


class Counted:
    """A transport that counts, and dies at the call of a number: before its effect or after it."""

    def __init__(self, dies_at: int = 0, *, after: bool = False) -> None:
        self._real = LocalTransport("here")
        self._dies_at, self._after = dies_at, after
        self.calls = 0
        self.put_files: list[str] = []

    def _act(self, act: Callable[[], Any]) -> Any:
        self.calls += 1
        dies = self.calls == self._dies_at
        if dies and not self._after:
            raise SiteError("cut", transient=True)
        result = act()
        if dies:
            raise SiteError("cut", transient=True)
        return result

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 60.0) -> Completed:
        return self._act(lambda: self._real.run(argv, stdin=stdin, timeout=timeout))

    def put(self, local: Path, remote: PurePosixPath, **options: Any) -> None:
        self.put_files.append(remote.name)
        self._act(lambda: self._real.put(local, remote, **options))

    def get(self, remote: PurePosixPath, local: Path) -> None:
        self._act(lambda: self._real.get(remote, local))

    def close(self) -> None:
        return


@pytest.fixture
def site(tmp_path: Path) -> Site:
    paths = SitePaths(deploy=str(tmp_path / "deploy"))
    return Site("here", TransportSettings(kind="local"), QueueSettings(kind="direct"), paths)


@pytest.fixture(autouse=True)
def private_umask() -> Iterator[None]:
    """A login whose files are for itself alone, unless it says otherwise."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def make_release(tmp_path: Path) -> Callable[..., Release]:
    def make(commit: str, *images: bytes, workflow: str = "flow") -> Release:
        folder = tmp_path / "exported" / commit
        (folder / "step" / "src").mkdir(parents=True, exist_ok=True)
        (folder / "step" / "src" / "run.sh").write_text(f"echo {commit}\n")
        (folder / "step" / "src" / "run.sh").chmod(0o700)
        (folder / "it's data.txt").write_text("data")
        if not (folder / "link").is_symlink():
            (folder / "link").symlink_to("it's data.txt")
        files = {}
        for number, content in enumerate(images or (b"image",)):
            path = tmp_path / f"{hashlib.sha256(content).hexdigest()[:8]}.sif"
            path.write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            files[f"step{number}"] = ImageFile(path, digest, len(content))
        return Release(workflow, commit, folder, files, {"site": "here"})

    return make


def serving(site: Site, workflow: str = "flow") -> str | None:
    """The commit that serves, if all that it needs is there; None if none does."""
    current = Path(site.paths.deploy) / "workflows" / workflow / "current"
    if not current.is_symlink():
        return None
    manifest = json.loads((current / "manifest.json").read_text())
    for step in manifest["steps"].values():
        content = Path(step["image"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == step["sha256"]
    for file in manifest["files"]:
        content = (current / file["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert (current / "step" / "src" / "run.sh").read_text() == f"echo {manifest['commit']}\n"
    return str(manifest["commit"])


def leftovers(site: Site) -> list[str]:
    return [path.name for path in Path(site.paths.deploy).rglob(".*")]


def test_a_release_serves_and_others_may_read_it(site: Site, make_release) -> None:
    release = make_release(NEW, b"one", b"two")
    deployed = deploy(LocalTransport("here"), site, release)
    assert serving(site) == NEW
    assert deployed.folder == PurePosixPath(site.paths.deploy) / "workflows" / "flow" / NEW
    assert deployed.manifest["site"] == "here"
    assert deployed.manifest["steps"]["step1"]["image"].endswith(".sif")
    assert (Path(deployed.folder) / "link").readlink() == Path("it's data.txt")
    for path in Path(site.paths.deploy).rglob("*"):
        if not path.is_symlink():
            mode = stat.S_IMODE(path.stat().st_mode)
            executable = path.is_dir() or path.name == "run.sh"
            assert oct(mode) == oct(0o755 if executable else 0o644), path
    assert leftovers(site) == []


def test_what_is_there_is_not_sent_again(site: Site, make_release) -> None:
    deploy(LocalTransport("here"), site, make_release(OLD, b"one", b"two"))
    again = Counted()
    assert deploy(again, site, make_release(OLD, b"one", b"two")).plan.done
    assert (again.calls, again.put_files) == (1, [])
    other = Counted()
    deploy(other, site, make_release(NEW, b"one", b"three"))
    three = hashlib.sha256(b"three").hexdigest()
    assert other.put_files == [f".{three}.upload", f".{NEW}.tar", "manifest.json"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_cut_anywhere_leaves_the_old_version_serving_and_the_next_call_completes(
    site: Site, make_release, after: bool
) -> None:
    count = 0
    while True:
        undeploy(LocalTransport("here"), site, "flow")
        deploy(LocalTransport("here"), site, make_release(OLD, b"old"))
        count += 1
        dying = Counted(count, after=after)
        try:
            deploy(dying, site, make_release(NEW, b"one", b"two"))
        except SiteError:
            assert serving(site) in ({OLD, NEW} if after else {OLD})  # NEW after the last call
        else:
            break
        deploy(LocalTransport("here"), site, make_release(NEW, b"one", b"two"))
        assert serving(site) == NEW
        assert leftovers(site) == []
    assert count == dying.calls + 1
    assert count > 8


def test_an_upload_that_was_not_yet_verified_is_not_sent_again(site: Site, make_release) -> None:
    class Cut(Counted):
        def put(self, local: Path, remote: PurePosixPath, **options: Any) -> None:
            super().put(local, remote, **options)
            raise SiteError("cut", transient=True)

    release = make_release(NEW)
    with pytest.raises(SiteError):
        deploy(Cut(), site, release)
    again = Counted()
    deploy(again, site, release)
    assert again.put_files == [f".{NEW}.tar", "manifest.json"]


@pytest.mark.parametrize("moment", ["stat", "sha256sum"])
@pytest.mark.parametrize("again", [False, True])
def test_an_upload_may_be_taken_by_a_deployment_that_needs_the_same_image(
    site: Site,
    make_release,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    again: bool,
) -> None:
    images = Path(site.paths.deploy) / "images"
    release = make_release(NEW, b"shared")
    there = images / f"{release.images['step0'].sha256}.sif"
    program = tmp_path / "bin" / moment
    program.parent.mkdir()
    upload = images / f".{there.stem}.upload"
    took = f'mv -- "{upload}" "{there}"'
    if again:  # by a third that has sent it as well
        took += f'\n  cp -- "{there}" "{upload}"'
    real = shutil.which(moment)
    program.write_text(f'''#!/bin/sh
{real} "$@" || exit
if [ -f "{upload}" ] && [ ! -e "{there}" ]; then
  {took}
  case $0 in *sha256sum) exit 1 ;; esac
fi
''')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    deploy(LocalTransport("here"), site, release)
    assert serving(site) == NEW


def test_an_image_that_changed_on_the_way_never_gets_its_name(site: Site, make_release) -> None:
    release = make_release(NEW, b"right")
    image = release.images["step0"]

    class Damaging(Counted):
        def put(self, local: Path, remote: PurePosixPath, **options: Any) -> None:
            super().put(local, remote, **options)
            if remote.name.endswith(".upload"):
                Path(remote).write_bytes(b"wrong")

    with pytest.raises(SiteError, match="arrived damaged") as caught:
        deploy(Damaging(), site, release)
    assert caught.value.transient
    assert list((Path(site.paths.deploy) / "images").iterdir()) == []
    image.path.write_bytes(b"wrong")
    with pytest.raises(SettingsError, match="is damaged"):
        deploy(LocalTransport("here"), site, release)
    assert serving(site) is None


def test_an_image_cut_short_on_the_site_is_replaced(site: Site, make_release) -> None:
    release = make_release(NEW, b"image")
    deployed = deploy(LocalTransport("here"), site, release)
    Path(deployed.manifest["steps"]["step0"]["image"]).write_bytes(b"im")
    deploy(LocalTransport("here"), site, release)
    assert serving(site) == NEW


def test_an_unreadable_manifest_is_written_again(site: Site, make_release) -> None:
    deployed = deploy(LocalTransport("here"), site, make_release(NEW))
    (Path(deployed.folder) / "manifest.json").write_text("{")
    deploy(LocalTransport("here"), site, make_release(NEW))
    assert serving(site) == NEW


def test_the_same_commit_with_a_new_image_gets_a_new_manifest(site: Site, make_release) -> None:
    deploy(LocalTransport("here"), site, make_release(NEW, b"one"))
    deployed = deploy(LocalTransport("here"), site, make_release(NEW, b"two"))
    assert deployed.manifest["steps"]["step0"]["sha256"] == hashlib.sha256(b"two").hexdigest()
    assert serving(site) == NEW


def test_what_cuts_have_left_is_removed_once_nobody_can_be_writing_it(site, make_release) -> None:
    images = Path(site.paths.deploy) / "images"
    images.mkdir(parents=True)
    hour_ago = time.time() - 3600
    for name, age in ((".a.part", hour_ago), (".b.part", time.time()), (".c.upload", hour_ago)):
        (images / name).touch()
        os.utime(images / name, (age, age))
    deploy(LocalTransport("here"), site, make_release(NEW))
    assert sorted(leftovers(site)) == [".b.part", ".c.upload"]


def test_progress_is_told(site: Site, make_release) -> None:
    told: list[tuple[str, int, int]] = []
    release = make_release(NEW, b"image")
    deploy(LocalTransport("here"), site, release, lambda *at: told.append(at))
    assert told[-1] == (release.images["step0"].sha256, 5, 5)


def test_files_that_cannot_be_deployed_are_the_contributors(site, make_release) -> None:
    release = make_release(NEW)
    (release.folder / "manifest.json").write_text("mine")
    with pytest.raises(EntryError, match=r"manifest\.json"):
        deploy(LocalTransport("here"), site, release)
    (release.folder / "manifest.json").unlink()
    (release.folder / "out").symlink_to("/etc/passwd")
    with pytest.raises(EntryError, match="leads out"):
        deploy(LocalTransport("here"), site, release)
    assert serving(site) is None


def test_a_site_without_a_place_for_deployments_is_the_operators(make_release) -> None:
    site = Site("s", TransportSettings(), QueueSettings(), SitePaths(deploy="relative"))
    with pytest.raises(SettingsError, match=r"paths\.deploy"):
        deploy(LocalTransport("here"), site, make_release(NEW))


def test_a_place_that_cannot_be_written_says_where_to_look(site, make_release) -> None:
    Path(site.paths.deploy).write_text("a file")
    with pytest.raises(SiteError, match="cannot make the folders"):
        deploy(LocalTransport("here"), site, make_release(NEW))


def test_versions_are_listed_and_one_of_them_is_current(site: Site, make_release) -> None:
    transport = LocalTransport("here")
    assert list_deployments(transport, site) == []
    for commit in (OLD, NEW):
        deploy(transport, site, make_release(commit))
    deploy(transport, site, make_release(OLD, workflow="another"))
    found = [(d.workflow, d.commit, d.current) for d in list_deployments(transport, site)]
    assert sorted(found) == [("another", OLD, True), ("flow", OLD, False), ("flow", NEW, True)]


def test_a_rollback_switches_to_a_version_that_is_there(site: Site, make_release) -> None:
    transport = LocalTransport("here")
    for commit in (OLD, NEW):
        deploy(transport, site, make_release(commit))
    for _ in range(2):
        rollback(transport, site, "flow", OLD)
        assert serving(site) == OLD
    with pytest.raises(EntryError, match="is not on site"):
        rollback(transport, site, "flow", "f" * 40)
    assert serving(site) == OLD


def test_a_rollback_to_a_version_whose_image_is_gone_changes_nothing(site, make_release) -> None:
    transport = LocalTransport("here")
    old = deploy(transport, site, make_release(OLD, b"old"))
    deploy(transport, site, make_release(NEW, b"new"))
    Path(old.manifest["steps"]["step0"]["image"]).unlink()
    with pytest.raises(SiteError, match="not complete"):
        rollback(transport, site, "flow", OLD)
    assert serving(site) == NEW
    assert leftovers(site) == []


def test_what_others_need_stays_when_a_workflow_is_removed(site: Site, make_release) -> None:
    transport = LocalTransport("here")
    deploy(transport, site, make_release(OLD, b"shared", workflow="another"))
    deploy(transport, site, make_release(NEW, b"shared", b"own"))
    for _ in range(2):
        undeploy(transport, site, "flow")
        assert serving(site, "another") == OLD
        images = list((Path(site.paths.deploy) / "images").iterdir())
        assert [image.stem for image in images] == [hashlib.sha256(b"shared").hexdigest()]
        assert not (Path(site.paths.deploy) / "workflows" / "flow").exists()


def test_a_single_version_is_removed_and_the_current_one_stays(site: Site, make_release) -> None:
    transport = LocalTransport("here")
    for commit in (OLD, NEW):
        deploy(transport, site, make_release(commit, commit.encode()))
    undeploy(transport, site, "flow", OLD)
    assert serving(site) == NEW
    assert [d.commit for d in list_deployments(transport, site)] == [NEW]
    undeploy(transport, site, "flow", NEW)
    assert serving(site) is None


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_removal_that_was_cut_is_completed_by_the_next(site, make_release, after: bool) -> None:
    for count in (1, 2, 3):
        deploy(LocalTransport("here"), site, make_release(NEW))
        with pytest.raises(SiteError):
            undeploy(Counted(count, after=after), site, "flow")
        undeploy(LocalTransport("here"), site, "flow")
        assert [p.name for p in Path(site.paths.deploy).rglob("*")] in (
            ["images", "workflows"],
            ["workflows", "images"],
        )
