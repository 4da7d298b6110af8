from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from builder.supply.signature import public_key
from builder.supply.signers import PublicKey, write_signers
from ci.errors import SettingsError, SiteError
from ci.site import QueueSettings, Site, SitePaths, TransportSettings
from hooks.deployments.deploy import Proven, activate, deploy
from hooks.deployments.manage import rollback, undeploy
from hooks.deployments.plan import ImageFile, Release
from hooks.sites.seams import Completed
from hooks.sites.transports.local import LocalTransport

OLD, NEW = "0" * 39 + "1", "0" * 39 + "2"
_TOOLS = "sh stat sha256sum find mkdir mv ln rm readlink cat tar mktemp chmod grep tr true"


@dataclass
class Place:
    """A site with a store beside it."""

    folder: Path
    site: Site
    transport: LocalTransport
    key: Ed25519PrivateKey
    sealed_image: Callable[..., ImageFile]

    @property
    def images(self) -> Path:
        return Path(self.site.paths.deploy) / "images"

    def release(self, commit: str, content: bytes, invocation: str = "one") -> Release:
        """A release of one image, sealed in the store."""
        file = self.sealed_image(self.folder / "store", content, self.key, invocation)
        sources = self.folder / "exported" / commit
        sources.mkdir(parents=True, exist_ok=True)
        (sources / "run.sh").write_text("true\n")
        return Release("flow", commit, sources, {"step": file}, signers=(public_key(self.key),))

    def serving(self) -> str:
        return os.readlink(Path(self.site.paths.deploy) / "workflows" / "flow" / "current")


@pytest.fixture
def place(tmp_path: Path, sealed_image: Callable[..., ImageFile]) -> Place:
    site = Site(
        "here",
        TransportSettings(kind="local"),
        QueueSettings(kind="direct"),
        SitePaths(deploy=str(tmp_path / "deploy")),
    )
    return Place(tmp_path, site, LocalTransport("here"), Ed25519PrivateKey.generate(), sealed_image)


def stranger_key() -> PublicKey:
    return public_key(Ed25519PrivateKey.generate())


def flip(path: Path, position: int = -3) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.fixture(params=["none", "old", "real"])
def any_ssh_keygen(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    """A site without ssh-keygen, with one that knows no signatures, and with a real one."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in _TOOLS.split():
        (tools / name).symlink_to(shutil.which(name) or name)
    if request.param == "old":
        (tools / "ssh-keygen").write_text("#!/bin/sh\necho 'unknown option -- Y' >&2\nexit 1\n")
        (tools / "ssh-keygen").chmod(0o755)
    if request.param == "real":
        (tools / "ssh-keygen").symlink_to(shutil.which("ssh-keygen") or "")
    monkeypatch.setenv("PATH", str(tools))
    return str(request.param)


def test_what_proves_an_image_lies_beside_it(any_ssh_keygen: str, place: Place) -> None:
    release = place.release(OLD, b"one")
    deployed = deploy(place.transport, place.site, release)
    sha256 = release.images["step"].sha256
    able = any_ssh_keygen == "real"
    assert deployed.checked == (frozenset({sha256}) if able else frozenset())
    assert sorted(path.name for path in place.images.iterdir()) == sorted(
        [f"{sha256}.provenance.json", f"{sha256}.sif", f"{sha256}.sig", "allowed_signers"]
    )
    assert deployed.manifest["steps"]["step"]["signed"] is True
    assert deploy(place.transport, place.site, release).plan.done


def test_it_can_be_verified_by_hand_on_the_site(place: Place) -> None:
    release = place.release(OLD, b"one")
    deploy(place.transport, place.site, release)
    name = release.images["step"].sha256
    argv = ["ssh-keygen", "-Y", "verify", "-f", "allowed_signers", "-I", "hpcwaas"]
    argv += ["-n", "hpcwaas-image", "-s", f"{name}.sig"]
    text = (place.images / f"{name}.provenance.json").read_bytes()
    assert subprocess.run(argv, cwd=place.images, input=text, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("ending", "why"),
    [
        (".sif", "is not what was put there"),
        (".provenance.json", "not one of this content|is not proven"),
        (".sig", "is not proven"),
    ],
)
def test_a_rollback_to_a_flipped_byte_is_refused(
    any_ssh_keygen: str, place: Place, ending: str, why: str
) -> None:
    old = place.release(OLD, b"old image")
    deploy(place.transport, place.site, old)
    deploy(place.transport, place.site, place.release(NEW, b"new image"))
    for signers in ((), (public_key(place.key),)):
        path = place.images / f"{old.images['step'].sha256}{ending}"
        before = path.read_bytes()
        for position in (0, len(before) // 2, -1):
            flip(path, position)
            with pytest.raises(SiteError, match=why) as caught:
                rollback(place.transport, place.site, "flow", OLD, signers=signers)
            assert not caught.value.transient
            assert place.serving() == NEW
            path.write_bytes(before)
    rollback(place.transport, place.site, "flow", OLD)
    assert place.serving() == OLD
    assert not list(place.images.glob(".*"))


@pytest.mark.parametrize("ending", [".provenance.json", ".sig"])
def test_a_rollback_without_a_proof_that_was_there_is_refused(place: Place, ending: str) -> None:
    old = place.release(OLD, b"old image")
    deploy(place.transport, place.site, old)
    deploy(place.transport, place.site, place.release(NEW, b"new image"))
    (place.images / f"{old.images['step'].sha256}{ending}").unlink()
    with pytest.raises(SiteError):
        rollback(place.transport, place.site, "flow", OLD)
    assert place.serving() == NEW


def test_a_proof_of_another_image_proves_nothing(place: Place) -> None:
    old = place.release(OLD, b"old image")
    new = place.release(NEW, b"new image")
    deploy(place.transport, place.site, old)
    deploy(place.transport, place.site, new)
    for ending in ("provenance.json", "sig"):
        source = place.images / f"{new.images['step'].sha256}.{ending}"
        shutil.copy(source, place.images / f"{old.images['step'].sha256}.{ending}")
    with pytest.raises(SiteError, match="about another image"):
        rollback(place.transport, place.site, "flow", OLD)
    assert place.serving() == NEW


def test_the_site_itself_refuses_a_proof_of_another_image(
    any_ssh_keygen: str, place: Place
) -> None:
    old, new = place.release(OLD, b"old image"), place.release(NEW, b"new image")
    deploy(place.transport, place.site, old)
    deploy(place.transport, place.site, new)
    image, other = old.images["step"].sha256, new.images["step"].sha256
    digests = []
    for ending in ("provenance.json", "sig"):
        content = (place.images / f"{other}.{ending}").read_bytes()
        (place.images / f"{image}.{ending}").write_bytes(content)
        digests.append(hashlib.sha256(content).hexdigest())
    proven = Proven({image: (digests[0], digests[1])})
    with pytest.raises(SiteError, match="has a provenance that is not what was put there"):
        activate(place.transport, place.site, "flow", OLD, {image: 9}, proven)
    assert place.serving() == NEW


def test_the_site_itself_refuses_a_signature_by_a_stranger(place: Place) -> None:
    old = place.release(OLD, b"old image")
    deploy(place.transport, place.site, old)
    deploy(place.transport, place.site, place.release(NEW, b"new image"))
    stranger = stranger_key()
    text = write_signers([stranger], "hpcwaas-image", datetime.now(UTC))
    (place.images / "allowed_signers").write_text(text)
    image = old.images["step"].sha256
    files = (place.images / f"{image}.{ending}" for ending in ("provenance.json", "sig"))
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    proven = Proven({image: (digests[0], digests[1])})
    with pytest.raises(SiteError, match="has a signature that is not good"):
        activate(place.transport, place.site, "flow", OLD, {image: 9}, proven)
    assert place.serving() == NEW


def test_a_damaged_image_is_refused_once_and_replaced_by_the_next_deployment(
    place: Place,
) -> None:
    old, new = place.release(OLD, b"old image"), place.release(NEW, b"new image")
    deploy(place.transport, place.site, old)
    deploy(place.transport, place.site, new)
    image = place.images / f"{old.images['step'].sha256}.sif"
    flip(image)
    with pytest.raises(SiteError, match=f"image {image.stem[:12]} is not what was put there"):
        deploy(place.transport, place.site, old)
    assert place.serving() == NEW
    deploy(place.transport, place.site, old)
    assert (place.serving(), image.read_bytes()) == (OLD, b"old image")
    assert not list(place.images.glob(".*"))


@pytest.mark.parametrize(
    "name", ["image.sif", "recipe", "metadata.json", "provenance.json", "provenance.json.sig"]
)
def test_a_flipped_byte_in_the_store_never_reaches_the_site(place: Place, name: str) -> None:
    deploy(place.transport, place.site, place.release(OLD, b"old image"))
    new = place.release(NEW, b"new image")
    flip(new.images["step"].path.with_name(name))
    with pytest.raises(SettingsError, match=name):
        deploy(place.transport, place.site, new)
    assert place.serving() == OLD
    assert not (place.images / f"{new.images['step'].sha256}.sif").exists()


def test_an_image_of_a_stranger_is_not_deployed(place: Place) -> None:
    release = replace(place.release(NEW, b"image"), signers=(stranger_key(),))
    with pytest.raises(SettingsError, match="by a key that may not"):
        deploy(place.transport, place.site, release)
    assert not place.images.exists()


def test_a_damaged_proof_is_put_right_by_the_next_deployment(place: Place) -> None:
    release = place.release(OLD, b"image")
    deploy(place.transport, place.site, release)
    sha256 = release.images["step"].sha256
    for name in (f"{sha256}.provenance.json", f"{sha256}.sig", "allowed_signers"):
        flip(place.images / name)
        deployed = deploy(place.transport, place.site, release)
        assert not deployed.plan.upload
        assert not deployed.plan.done
        assert deploy(place.transport, place.site, release).plan.done


class Flipping(LocalTransport):
    """Flips a byte of what has just been put."""

    def __init__(self, ending: str) -> None:
        super().__init__("here")
        self._ending = ending

    def put(self, local: Path, remote: PurePosixPath, **options: Any) -> None:
        super().put(local, remote, **options)
        if remote.name.endswith(self._ending):
            flip(Path(remote))


@pytest.mark.parametrize("ending", [".provenance.json", ".sig", "allowed_signers"])
def test_a_proof_that_changes_on_its_way_is_not_activated(
    any_ssh_keygen: str, place: Place, ending: str
) -> None:
    with pytest.raises(SiteError, match="is not activated"):
        deploy(Flipping(ending), place.site, place.release(OLD, b"image"))
    deploy(place.transport, place.site, place.release(OLD, b"image"))
    assert place.serving() == OLD


class Scripts(LocalTransport):
    """Remembers the last arguments of each script."""

    def __init__(self) -> None:
        super().__init__("here")
        self.last: list[str] = []

    def run(self, argv: Any, **options: Any) -> Completed:
        self.last = list(argv)
        return super().run(argv, **options)


def test_an_image_is_hashed_once_in_a_deployment_and_again_in_a_rollback(place: Place) -> None:
    transport = Scripts()
    deploy(transport, place.site, place.release(OLD, b"one"))
    assert transport.last[-1].endswith(":+")  # verified on arrival
    deploy(transport, place.site, place.release(NEW, b"one"))
    assert transport.last[-1].endswith(":-")  # was there: hashed now
    rollback(transport, place.site, "flow", OLD)
    assert transport.last[-1].endswith(":-")


def test_the_same_image_built_again_serves_both_versions(place: Place) -> None:
    deploy(place.transport, place.site, place.release(OLD, b"same", "one"))
    deploy(place.transport, place.site, place.release(NEW, b"same", "two"))
    rollback(place.transport, place.site, "flow", OLD)
    assert place.serving() == OLD


def test_keys_are_rotated_by_the_next_deployment(place: Place) -> None:
    old = place.release(OLD, b"old")
    deploy(place.transport, place.site, old)
    other = stranger_key()
    rotated = replace(place.release(NEW, b"new"), signers=(public_key(place.key), other))
    assert deploy(place.transport, place.site, rotated).plan.signers
    text = (place.images / "allowed_signers").read_text()
    assert public_key(place.key).text in text
    assert other.text in text
    rollback(place.transport, place.site, "flow", OLD)
    with pytest.raises(SiteError, match="by a key that may not"):
        rollback(place.transport, place.site, "flow", NEW, signers=(other,))
    assert place.serving() == OLD


def test_without_signers_all_is_as_it_was_but_images_are_hashed(place: Place) -> None:
    old = replace(place.release(OLD, b"old"), signers=())
    deploy(place.transport, place.site, old)
    deploy(place.transport, place.site, replace(place.release(NEW, b"new"), signers=()))
    assert {path.suffix for path in place.images.iterdir()} == {".sif"}
    flip(place.images / f"{old.images['step'].sha256}.sif")
    with pytest.raises(SiteError, match="is not what was put there"):
        rollback(place.transport, place.site, "flow", OLD)
    assert place.serving() == NEW


def test_a_version_without_a_proof_gets_one(place: Place) -> None:
    release = place.release(OLD, b"old")
    deploy(place.transport, place.site, replace(release, signers=()))
    deployed = deploy(place.transport, place.site, release)
    assert (deployed.plan.upload, deployed.plan.sources) == ((), False)
    manifest = json.loads((Path(deployed.folder) / "manifest.json").read_text())
    assert manifest["steps"]["step"]["signed"] is True


def test_a_removal_takes_the_proofs_as_well(place: Place) -> None:
    deploy(place.transport, place.site, place.release(OLD, b"old"))
    undeploy(place.transport, place.site, "flow")
    assert [path.name for path in place.images.iterdir()] == ["allowed_signers"]


def test_a_cut_anywhere_is_healed_by_the_next_call(place: Place) -> None:
    class Dying(LocalTransport):
        calls = 0

        def __init__(self, dies_at: int) -> None:
            super().__init__("here")
            self._dies_at = dies_at

        def _count(self) -> None:
            self.calls += 1
            if self.calls == self._dies_at:
                raise SiteError("cut", transient=True)

        def run(self, argv: Any, **options: Any) -> Completed:
            self._count()
            return super().run(argv, **options)

        def put(self, local: Path, remote: PurePosixPath, **options: Any) -> None:
            self._count()
            super().put(local, remote, **options)

    act: Callable[[LocalTransport], object] = lambda transport: deploy(  # noqa: E731
        transport, place.site, place.release(NEW, b"new")
    )
    for count in range(1, 50):
        undeploy(place.transport, place.site, "flow")
        shutil.rmtree(place.images, ignore_errors=True)
        deploy(place.transport, place.site, place.release(OLD, b"old"))
        try:
            act(Dying(count))
        except SiteError:
            assert place.serving() == OLD
            act(place.transport)
            assert place.serving() == NEW
        else:
            break
    assert count > 10
