"""Fixtures that several folders of tests share: throw-away clusters and container tools.

Where a tool cannot be had a test is skipped with the reason; with CI=true it fails instead.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from ci.errors import SettingsError
from hooks.testbed.base_image import busybox_base as make_busybox_base
from hooks.testbed.base_image import debian_base as make_debian_base
from hooks.testbed.cluster import Cluster
from hooks.testbed.engine import Engine
from hooks.testbed.ground import own_folder
from hooks.testbed.postgresql import Postgresql
from hooks.testbed.setup import Tools, ensure, ensure_browser, ensure_postgresql


def _cannot(error: SettingsError) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(str(error), pytrace=False)
    pytest.skip(str(error))


@pytest.fixture(scope="session")
def testbed_tools() -> Tools:
    """The tools of the test bed, installed at first use."""
    try:
        return ensure()
    except SettingsError as error:
        _cannot(error)
        raise


@pytest.fixture(scope="session")
def apptainer(testbed_tools: Tools) -> Path:
    """The program ``apptainer``."""
    return testbed_tools.apptainer


@pytest.fixture(scope="session")
def clusters_folder() -> Iterator[Path]:
    """Where the clusters of this process (of this worker under pytest-xdist) have their disks."""
    with own_folder(Path(tempfile.gettempdir()) / f"hpcwaas-tests-{os.getuid()}") as folder:
        yield folder


@pytest.fixture(scope="session")
def cluster(testbed_tools: Tools, clusters_folder: Path) -> Iterator[Cluster]:
    """A Slurm cluster with two nodes; tests share it, so they leave it up and clean up jobs."""
    made = Cluster("alpha", clusters_folder, apptainer=testbed_tools.apptainer_prefix)
    try:
        made.start()
    except SettingsError as error:
        _cannot(error)
    yield made
    made.remove()


@pytest.fixture
def cluster_factory(
    testbed_tools: Tools, clusters_folder: Path
) -> Iterator[Callable[..., Cluster]]:
    """Makes clusters for one test: ``cluster_factory(queue=…, options=…, nodes=1)``, started."""
    names = (f"own{number}" for number in count(1))
    with ExitStack() as stack:

        def make(*, queue: str = "slurm", options: Sequence[str] = (), nodes: int = 1) -> Cluster:
            try:
                ensure(queue=queue, accounting="--acct" in options)
                made = Cluster(
                    next(names),
                    clusters_folder,
                    apptainer=testbed_tools.apptainer_prefix,
                    queue=queue,
                    nodes=nodes,
                    options=options,
                )
                return stack.enter_context(made)
            except SettingsError as error:
                _cannot(error)
                raise

        yield make


@pytest.fixture(scope="session")
def engine(testbed_tools: Tools) -> Iterator[Engine]:
    """A running container engine, shared with other workers and kept warm in the cache."""
    made = Engine(testbed_tools)
    try:
        made.start()
    except SettingsError as error:
        _cannot(error)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def debian_base(testbed_tools: Tools) -> Path:
    """An OCI layout with Debian, as ``--build-context base=oci-layout://…`` takes it."""
    try:
        return make_debian_base(testbed_tools.cache)
    except SettingsError as error:
        _cannot(error)
        raise


@pytest.fixture(scope="session")
def busybox_base(testbed_tools: Tools) -> Path:
    """A tiny OCI layout, for tests of builds that need no package manager."""
    try:
        return make_busybox_base(testbed_tools.cache)
    except SettingsError as error:
        _cannot(error)
        raise


@pytest.fixture(scope="session")
def browser_programs() -> tuple[str, str]:
    """Chromium, and what steers it."""
    try:
        ensure_browser(lambda _: None)
    except SettingsError as error:
        _cannot(error)
    return "/usr/bin/chromium", "/usr/bin/chromedriver"


@pytest.fixture(scope="session")
def postgresql_program(testbed_tools: Tools) -> Path:
    """The folder of a PostgreSQL of our own."""
    try:
        return ensure_postgresql(testbed_tools.cache, lambda _: None)
    except SettingsError as error:
        _cannot(error)
        raise


def _postgresql(program: Path) -> Iterator[Postgresql]:
    # not below pytest's folder, which is too long for a socket
    with tempfile.TemporaryDirectory(prefix="waas-pg-") as folder:
        server = Postgresql(program, Path(folder) / "server")
        try:
            server.start()
        except SettingsError as error:
            _cannot(error)
        yield server
        server.stop()


@pytest.fixture(scope="session")
def postgresql_server(postgresql_program: Path) -> Iterator[Postgresql]:
    """A PostgreSQL that runs; tests share it, so they leave it up."""
    yield from _postgresql(postgresql_program)


@pytest.fixture
def own_postgresql(postgresql_program: Path) -> Iterator[Postgresql]:
    """A PostgreSQL of a test's own, which it may stop."""
    yield from _postgresql(postgresql_program)


@pytest.fixture
def postgresql_url(postgresql_server: Postgresql) -> Iterator[str]:
    """An empty database of a test's own."""
    name = f"t{uuid.uuid4().hex}"
    url = postgresql_server.url().replace("postgresql:", "postgresql+psycopg:")
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield postgresql_server.url(name)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
