"""The stage of the demo: a service home, two throw-away clusters, a container engine.

Everything can be taken down by whoever knows the folder, so that a demo that was killed leaves
nothing that the next one does not remove.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import yaml

from ci.errors import SettingsError
from hooks import home
from hooks.config import Settings
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.ssh_keys import make_key_pair
from hooks.demo.service import Service
from hooks.testbed.base_image import debian_base
from hooks.testbed.cluster import Cluster, remove_clusters
from hooks.testbed.engine import Engine
from hooks.testbed.setup import Tools, become_root, ensure

SITES = ("alpha", "beta")
FLAGSHIP = "reduced_order_model"
DEPLOYER = "waas"


class Stage:
    """All that the story happens on. ``folder`` is made anew."""

    def __init__(self, folder: Path, progress: Callable[[str], None]) -> None:
        self.folder = folder
        self._progress = progress
        self._stack = ExitStack()
        self.clusters: dict[str, Cluster] = {}
        if become_root() is None:  # said before anything is fetched
            hint = "run as root, or allow sudo without a password"
            raise SettingsError("the demo's clusters and container engine need root", hint=hint)
        self.tools: Tools = ensure(progress)

    def clear(self) -> None:
        """Remove what an earlier demo left in the folder."""
        if self.folder.exists():
            remove_clusters(self.folder / "clusters")
            shutil.rmtree(self.folder)

    def make_home(self) -> Settings:
        """The service home, with both repositories; the flagship is for the developer to add."""
        base = debian_base(self.tools.cache, self._progress)
        engine = Engine(self.tools)
        engine.start()
        self._stack.callback(engine.stop)
        builder = {
            "base": f"oci-layout://{base}",
            "apptainer": str(self.tools.apptainer),
            "environment": engine.environment,
        }
        listen = f"127.0.0.1:{_free_port()}"
        return home.make(self.folder / "home", listen=listen, builder=builder, without=[FLAGSHIP])

    def start_clusters(self, settings: Settings) -> None:
        """Both clusters, and for each its site file and the deploying login's key."""
        root = self.folder / "clusters"
        root.mkdir(parents=True, exist_ok=True)
        for name in SITES:
            cluster = Cluster(name, root, apptainer=self.tools.apptainer_prefix)
            self.clusters[name] = cluster
            self._stack.callback(cluster.remove)
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda c: c.start(), self.clusters.values()))
        store = EncryptedFiles.init(settings.secrets)
        for name, cluster in self.clusters.items():
            credential = f"{name}-{DEPLOYER}"
            public = make_key_pair(store, credential, f"hpcwaas deploys to {name}")
            cluster.authorize(DEPLOYER, public)
            text = yaml.safe_dump(cluster.describe(credential=credential), sort_keys=False)
            (settings.sites / f"{name}.yaml").write_text(text, encoding="utf-8")

    def start_service(self, settings: Settings) -> Service:
        """``waas serve`` on the home."""
        service = Service(settings)
        self._stack.callback(service.stop)
        service.start()
        return service

    def take_down(self, *, keep: bool) -> None:
        """Stop everything; delete the folder unless it is to be kept."""
        self._stack.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.folder.exists():
                raise SettingsError(f"{self.folder} could not be removed")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
