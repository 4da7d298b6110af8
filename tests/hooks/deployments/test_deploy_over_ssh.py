from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from builder.supply.signature import public_key
from ci.errors import SiteError
from ci.site import Site
from ci.sites import read_site
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.ssh_keys import make_key_pair
from hooks.deployments.deploy import deploy
from hooks.deployments.manage import list_deployments, rollback, undeploy
from hooks.deployments.plan import ImageFile, Release
from hooks.sites.connections import Connections
from hooks.testbed.cluster import Cluster

pytestmark = pytest.mark.cluster

COMMIT = "0" * 40


@pytest.fixture
def connections(cluster: Cluster, tmp_path: Path) -> Iterator[Connections]:
    store = EncryptedFiles.init(tmp_path / "secrets")
    for user in ("waas", "alice"):
        cluster.authorize(user, make_key_pair(store, f"{cluster.name}-{user}", "tests"))
    made = Connections(store.read)
    yield made
    made.close()


@pytest.fixture
def site(cluster: Cluster) -> Site:
    return read_site(yaml.safe_dump(cluster.describe()).encode(), f"{cluster.name}.yaml")


@pytest.fixture
def release(tmp_path: Path) -> Release:
    folder = tmp_path / "exported" / "flow"
    folder.mkdir(parents=True)
    (folder / "run.sh").write_text("#!/bin/sh\necho here\n")
    (folder / "run.sh").chmod(0o755)
    image = tmp_path / "image.sif"
    image.write_bytes(os.urandom(20_000_000))
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    return Release("flow", COMMIT, folder, {"step": ImageFile(image, digest, 20_000_000)})


def test_a_release_is_deployed_by_one_login_and_used_by_another(
    site: Site, connections: Connections, release: Release
) -> None:
    transport = connections.to(site)
    cutting = threading.Event()

    def cut(sha256: str, done: int, size: int) -> None:
        if done > size // 2 and not cutting.is_set():
            cutting.set()
            transport.close()

    with pytest.raises(SiteError) as caught:
        deploy(transport, site, release, cut)
    assert caught.value.transient
    assert list_deployments(transport, site) == []
    deployed = deploy(transport, site, release, cut)
    assert deploy(transport, site, release).plan.done
    user = connections.to(site, user="alice", credential=f"{site.name}-alice")
    current = str(deployed.folder.with_name("current"))
    assert user.run((f"{current}/run.sh",)).stdout == "here\n"
    image = deployed.manifest["steps"]["step"]["image"]
    assert user.run(("sha256sum", image)).stdout.split()[0] == release.images["step"].sha256
    assert user.run(("rm", "-f", image)).exit_code != 0
    undeploy(transport, site, "flow")
    left = transport.run(("find", site.paths.deploy, "-type", "f")).stdout
    assert all(line.endswith(".part") for line in left.splitlines())  # kept for a while


def test_a_flipped_byte_on_the_site_keeps_the_version_before_serving(
    site: Site,
    connections: Connections,
    release: Release,
    tmp_path: Path,
    sealed_image: Callable[..., ImageFile],
) -> None:
    transport = connections.to(site)
    key = Ed25519PrivateKey.generate()
    signers = (public_key(key),)

    def signed(commit: str, content: bytes) -> Release:
        image = sealed_image(tmp_path / "store", content, key)
        images = {"step": image}
        return replace(release, commit=commit, images=images, signers=signers)

    old, new = signed("0" * 40, b"old image"), signed("1" * 40, b"new image")
    name = f"{site.paths.deploy}/images/{old.images['step'].sha256}"
    assert deploy(transport, site, old).checked == {old.images["step"].sha256}
    deploy(transport, site, new)
    for ending in (".sif", ".provenance.json", ".sig"):
        flip = ("dd", f"of={name}{ending}", "bs=1", "seek=4", "conv=notrunc")
        assert transport.run(("cp", name + ending, name + ".kept")).exit_code == 0
        assert transport.run(flip, stdin="!").exit_code == 0
        with pytest.raises(SiteError, match=r"is not (activated|proven)"):
            rollback(transport, site, "flow", old.commit)
        current = f"{site.paths.deploy}/workflows/flow/current"
        assert transport.run(("readlink", current)).stdout.strip() == new.commit
        assert transport.run(("mv", name + ".kept", name + ending)).exit_code == 0
    rollback(transport, site, "flow", old.commit, signers=signers)
    assert transport.run(("readlink", current)).stdout.strip() == old.commit
    undeploy(transport, site, "flow")
    transport.run(("rm", "-f", f"{site.paths.deploy}/images/allowed_signers"))
