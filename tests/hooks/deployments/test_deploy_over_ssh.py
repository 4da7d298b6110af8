from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ci.errors import SiteError
from ci.site import Site
from ci.sites import read_site
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.ssh_keys import make_key_pair
from hooks.deployments.deploy import deploy
from hooks.deployments.manage import list_deployments, undeploy
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
