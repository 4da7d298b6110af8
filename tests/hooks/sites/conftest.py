"""A site on the throw-away cluster and one on this machine, with logins for the tests."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pytest

from ci.site import ContainerSettings, QueueSettings, Site, SitePaths, TransportSettings
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.ssh_keys import make_key_pair
from hooks.sites.connections import Connections
from hooks.sites.queues import queue_system
from hooks.sites.seams import QueueSystem, Transport
from hooks.testbed.cluster import Cluster


@dataclass(frozen=True)
class Login:
    """A site with a transport to it and an empty folder there that both of us can see."""

    site: Site
    transport: Transport
    folder: PurePosixPath
    seen_here: Path  # the same folder, as this machine sees it

    @property
    def queue(self) -> QueueSystem:
        return queue_system(self.site)


@dataclass(frozen=True)
class SshSite:
    """A site by SSH, and the secret store with its logins' keys."""

    site: Site
    store: EncryptedFiles
    cluster: Cluster


def site_of(cluster: Cluster, credential: str) -> Site:
    told = cluster.describe(credential=credential, user="alice")
    transport = dict(told["transport"], host_keys=tuple(told["transport"]["host_keys"]))
    return Site(
        name=cluster.name,
        transport=TransportSettings(**transport),
        queue=QueueSettings(**told["queue"]),
        paths=SitePaths(**told["paths"]),
        container=ContainerSettings(command=told["container"]["command"]),
        mpi_launcher=tuple(told["mpi_launcher"]),
    )


@pytest.fixture(scope="session")
def ssh_site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> SshSite:
    store = EncryptedFiles.init(tmp_path_factory.mktemp("secrets"))
    cluster.authorize("alice", make_key_pair(store, "alpha-alice", "tests"))
    return SshSite(site_of(cluster, "alpha-alice"), store, cluster)


@pytest.fixture
def connections(ssh_site: SshSite) -> Iterator[Connections]:
    made = Connections(ssh_site.store.read)
    yield made
    made.close()


@pytest.fixture
def ssh_login(ssh_site: SshSite, connections: Connections) -> Iterator[Login]:
    name = f"srv/scratch/alice/test-{uuid.uuid4().hex[:8]}"
    transport = connections.to(ssh_site.site)
    folder = PurePosixPath("/") / name
    assert transport.run(("mkdir", str(folder))).exit_code == 0
    yield Login(ssh_site.site, transport, folder, ssh_site.cluster.disk / name)
    transport.run(("rm", "-rf", str(folder)))


@pytest.fixture
def local_site(tmp_path: Path) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    return Site(
        name="here",
        transport=TransportSettings(kind="local"),
        queue=QueueSettings(kind="direct"),
        paths=SitePaths(deploy=str(folder / "deploy"), work=str(folder / "work")),
        mpi_launcher=(),
    )


@pytest.fixture
def local_login(local_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Login:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    transport = Connections(lambda name: "").to(local_site)
    folder = tmp_path / "site" / "test"
    folder.mkdir()
    return Login(local_site, transport, PurePosixPath(folder), folder)


@pytest.fixture(
    params=[
        pytest.param("local_login", id="local"),
        pytest.param("ssh_login", id="ssh", marks=pytest.mark.cluster),
    ]
)
def login(request: pytest.FixtureRequest) -> Login:
    """A login by each transport: what holds for one holds for all."""
    made: Login = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def changed() -> Callable[..., Site]:
    """Makes a site with some fields of its transport changed."""

    def change(site: Site, **fields: object) -> Site:
        return replace(site, transport=replace(site.transport, **fields))  # type: ignore[arg-type]

    return change
