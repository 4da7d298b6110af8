"""The world of tests behind a forge."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests
import yaml

from hooks import home
from hooks.config import load
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.webhook_secrets import WebhookSecrets
from hooks.db import Database
from hooks.forge_choice import GitHubConnection
from hooks.tokens import Tokens

SLUG, CATALOGUE = "lab/workflow-registry", "lab/software-catalog"
SITE = "here"
_SERVICE = Path(__file__).with_name("quick_service.py")
_START_SECONDS = 60.0
_TOPOLOGY = """\
tosca_definitions_version: alien_dsl_3_0_0
metadata: {template_name: NAME, template_version: 1.0.0, template_author: test}
imports:
  - eflows4hpc.env:1.1.0
  - imagecreation.ansible:1.3.0
  - dls.ansible:1.4.3-SNAPSHOT
  - hpcwaas:1.0.0
topology_template:
  node_templates:
    Env: {type: eflows4hpc.env.nodes.AbstractEnvironment}
    Image:
      type: imagecreation.ansible.nodes.ImageCreation
      properties: {workflow: NAME, step_id: step}
    Transfer:
      type: dls.ansible.nodes.DLSDAGImageTransfer
      requirements:
        - i: {type_requirement: dependency, node: Image, capability: tosca.capabilities.Node,
              relationship: tosca.relationships.DependsOn}
    Job:
      type: hpcwaas.nodes.ContainerJob
      properties:
        application: {command: /step/src/run.sh}
      requirements:
        - i: {type_requirement: img_transfer, node: Transfer, capability: tosca.capabilities.Node,
              relationship: tosca.relationships.DependsOn}
        - env: {type_requirement: environment, node: Env,
                capability: eflows4hpc.env.capabilities.ExecutionEnvironment,
                relationship: tosca.relationships.DependsOn}
  workflows:
    exec_job:
      inputs:
        user_id: {type: string, required: true}
        vault_id: {type: string, required: true}
      steps:
        job:
          target: Job
          activities: [{call_operation: tosca.interfaces.node.lifecycle.Runnable.run}]
"""


def workflow(name: str, version: str = "1", *, sites: str = SITE) -> dict[str, str]:
    """The files of a workflow that is valid; another version has another image."""
    return {
        f"{name}/waas.yaml": f"title: {name}\nmaintainers: [Tests]\nsites: [{sites}]\n",
        f"{name}/tosca/topology.yaml": _TOPOLOGY.replace("NAME", name),
        f"{name}/step/src/run.sh*": f"#!/bin/sh\necho {version}\n",
        f"{name}/step/eflows4hpc.yaml": "apt: []\n",
    }


class World:
    """A service home, its processes and what they did."""

    def __init__(
        self,
        folder: Path,
        double: Any,
        *,
        as_app: bool = True,
        haste: float = 0,
        files: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """``double`` is one of GitHub that runs; ``haste`` in seconds between two looks at it;
        ``files`` is what the repositories begin with.
        """
        self.double, self.folder = double, folder
        self.place, self.effects_file = folder / "site", folder / "effects"
        self.environment = dict(os.environ) | ({"WAAS_TEST_HASTE": str(haste)} if haste else {})
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        for slug in (SLUG, CATALOGUE):
            double.create_repository(slug, (files or {}).get(slug, {"README.md": "start\n"}))
        self.settings = load(self._home(port, as_app))
        tokens = Tokens(Database(self.settings.database))
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {tokens.create('root', 'operator')[1]}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def _home(self, port: int, as_app: bool) -> Path:
        place = self.folder / "home"
        place.mkdir(parents=True)
        connection: dict[str, Any] = {"url": self.double.api}
        if as_app:
            app = self.double.app([SLUG, CATALOGUE])
            connection |= {"app": app.id, "installation": app.installation}
            credential, self.login = app.key, app.login
        else:
            self.login = "waas"
            credential = self.double.token("waas", {SLUG: "admin", CATALOGUE: "admin"})
        config = place / "waas.yaml"
        values = {
            "listen": f"127.0.0.1:{port}",
            "github": {"lab": connection},
            **self.forges(),
        }
        config.write_text(yaml.safe_dump(values))
        settings = home.make(place)
        store = EncryptedFiles(settings.secrets)
        store.put(GitHubConnection("lab").credential, credential)
        secret = WebhookSecrets(store, settings.secrets).current("github")
        url = f"http://127.0.0.1:{port}/webhooks/github"
        if as_app:
            self.double.hook(url, secret, app=app.id)
        else:
            for slug in (SLUG, CATALOGUE):
                self.double.hook(url, secret, slug=slug)
        self._site(settings.sites)
        return config

    def forges(self) -> dict[str, Any]:
        """Where the repositories are, as the settings have it."""
        return {
            "repositories": {
                "workflow-registry": {"github": SLUG, "connection": "lab"},
                "software-catalog": {"github": CATALOGUE, "connection": "lab"},
            }
        }

    def _site(self, folder: Path) -> None:
        for name in ("deploy", "work"):
            (self.place / name).mkdir(parents=True)
        site = {
            "site": SITE,
            "transport": {"kind": "local"},
            "queue": {"kind": "direct"},
            "paths": {"deploy": str(self.place / "deploy"), "work": str(self.place / "work")},
        }
        (folder / f"{SITE}.yaml").write_text(yaml.safe_dump(site))

    def start(self) -> None:
        """Start ``waas serve`` and wait until it answers; one that runs already stays."""
        self.spawn("serve")
        self.until(self.answers, "the service answers", _START_SECONDS)

    def spawn(self, name: str) -> None:
        """Start ``waas serve``, or a ``waas work`` by this name, if it does not run."""
        command = ("serve",) if name == "serve" else ("work", "--name", name)
        running = self.processes.get(name)
        if running is not None and running.poll() is None:
            return
        argv = [sys.executable, str(_SERVICE), str(self.settings.home / "waas.yaml")]
        with open(self.log(name), "ab") as out:
            self.processes[name] = subprocess.Popen(
                [*argv, str(self.effects_file), *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self.environment,
            )

    def log(self, name: str = "serve") -> Path:
        """Where a process writes what it has to say."""
        return self.settings.home / "logs" / name

    def kill(self, name: str = "serve", number: int = signal.SIGKILL) -> None:
        """End a process, as a power cut would unless told otherwise."""
        process = self.processes[name]
        if process.poll() is None:
            process.send_signal(number)
            process.wait(30)

    def stop(self) -> None:
        """End all."""
        for name in self.processes:
            self.kill(name)

    def answers(self) -> bool:
        """Whether the service does."""
        process = self.processes["serve"]
        assert process.poll() is None, self.log().read_text()[-3000:]
        try:
            return self.session.get(f"{self.settings.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def get(self, path: str) -> Any:
        """What the service's API answers."""
        answer = self.session.get(f"{self.settings.url}{path}", timeout=30)
        assert answer.ok, answer.text
        return answer.json()

    def until(
        self,
        done: Callable[[], Any],
        what: str,
        seconds: float = 40,
        shown: Callable[[], Any] = lambda: "",
    ) -> Any:
        """Wait for something. Raises ``AssertionError`` with the end of the log."""
        limit = time.monotonic() + seconds
        while True:
            found = done()
            if found:
                return found
            told = f"{what}: {shown()}\n"
            assert time.monotonic() < limit, told + self.log().read_text(errors="replace")[-4000:]
            time.sleep(0.05)

    # what is seen

    def pull(self, number: int, slug: str = SLUG) -> dict[str, Any]:
        """A pull request as the double has it."""
        found: dict[str, Any] = self.double.pull(slug, number)
        return found

    def report(self, number: int, slug: str = SLUG) -> str:
        """Our comment on a pull request; empty if there is none."""
        said = self.pull(number, slug)["comments"]
        comments = [c for c in said if "<!-- hpcwaas -->" in c["body"]]
        assert len(comments) <= 1, comments
        return comments[0]["body"] if comments else ""

    def verdict(self, number: int, slug: str = SLUG) -> str:
        """What the check says of the head: ``success``, ``failure`` … or nothing yet."""
        found: str = self.pull(number, slug)["checks"].get("waas / validate", "")
        return found

    def judged(self, number: int, slug: str = SLUG, seconds: float = 40) -> str:
        """Wait for a verdict on the head."""
        ends = ("success", "failure", "error")
        found: str = self.until(
            lambda: (v := self.verdict(number, slug)) in ends and v,
            f"#{number} is judged",
            seconds,
            lambda: self.pull(number, slug),
        )
        return found

    def built(self) -> list[str]:
        """A line for each image that was built."""
        return self.effects_file.read_text().splitlines() if self.effects_file.exists() else []

    def current(self, name: str) -> str:
        """The commit whose version of a workflow serves at the site; empty if none does."""
        link = self.place / "deploy" / "workflows" / name / "current"
        return os.readlink(link) if link.is_symlink() else ""

    def deployment(self, name: str) -> Mapping[str, Any]:
        """A deployment as the API has it."""
        found = self.get("/deployments")["deployments"]
        return next((d for d in found if d["id"] == f"{name}@{SITE}"), {"state": "NONE"})
