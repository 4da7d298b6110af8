"""Deployments on request over a real repository, rows and a site on this machine.

What the service adds around them is small here: images are a few bytes, and the engine is a list
whose flows run when a test says so, with the steps that they did recorded, so that a worker can die
at any of them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from front_door import workflow
from git import Actor, Repo

from builder.store import Image
from builder.supply.inventory import Inventory
from builder.supply.provenance import Origin
from builder.supply.seal import seal
from builder.supply.signature import public_key
from builder.supply.signers import write_signers
from builder.supply.verify import NAMESPACE
from ci.errors import EntryError, SiteError
from ci.target import Target
from hooks.builds.records import BuildRecords
from hooks.builds.service import FLOW as BUILD
from hooks.builds.service import Builds
from hooks.builds.spec import Requests
from hooks.db import Database
from hooks.db.tables import Deployment, Execution
from hooks.dispatch.deployments import Deployments
from hooks.dispatch.desk import Around, desk_of
from hooks.dispatch.flows import DEPLOYMENT, run_deployment, run_merge
from hooks.dispatch.on_request import FLOW, DeploymentRequests, OnRequest, run_request, subject_of
from hooks.forges.bare_git import BareGitForge, create
from hooks.forges.marks import Mains, Marks
from hooks.journal import Journal
from hooks.registries import Registries
from hooks.sites.directory import SiteDirectory
from hooks.sites.transports.local import LocalTransport

REPO, SITE, OTHER = "workflow-registry", "here", "there"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
WHO = Actor("Developer", "developer@example.org")


class Killed(BaseException):
    """The worker died."""


class Away(LocalTransport):
    """A site on this machine that can be away, and counts what it is asked for.

    The worker dies at the call number ``dies_at``, when the site has done it.
    """

    def __init__(self) -> None:
        super().__init__("here")
        self.away, self.dies_at, self.calls = 0, 0, 0

    def _count(self) -> None:
        if self.away:
            self.away -= 1
            raise SiteError("is down for maintenance", site=SITE, transient=True)

    def _done(self) -> None:
        self.calls += 1
        if self.calls == self.dies_at:
            raise Killed

    def run(self, argv: Any, **options: Any) -> Any:
        self._count()
        done = super().run(argv, **options)
        self._done()
        return done

    def put(self, *args: Any, **options: Any) -> None:
        self._count()
        super().put(*args, **options)
        self._done()


class QuickImages:
    """As the image service; a step whose files say ``broken`` cannot be built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.there: dict[str, Any] = {}
        self.made: list[str] = []
        self.store = SimpleNamespace(
            find=lambda key, _scope: self.there.get(key),
            used=lambda _key, _scope: None,
            fetch=lambda image: image,
            promote=lambda _key, _scope: None,
        )

    def key(self, request: Any) -> str:
        files = sorted((path, content.hex()) for path, content in request.files.items())
        return hashlib.sha256(
            json.dumps([request.workflow, request.step, files]).encode()
        ).hexdigest()

    def plan(self, request: Any) -> Any:
        key = self.key(request)
        image, recipe = self.there.get(key), SimpleNamespace(trusts_caches=False)
        return SimpleNamespace(key=key, image=image, reuse=bool(image), why="", recipe=recipe)

    def ensure(self, request: Any, *_: Any, **__: Any) -> Any:
        if any(b"broken" in content for content in request.files.values()):
            raise EntryError("E: no package libfoo\nmake: *** [all] Error 1")
        key = self.key(request)
        if key not in self.there:
            self.made.append(key)
            self.there[key] = self._make(key, request)
        return self.there[key]

    def _make(self, key: str, request: Any) -> Image:
        folder = self.folder / "images" / key
        folder.mkdir(parents=True)
        (folder / "image.sif").write_bytes(f"SIF {key}".encode())
        (folder / "recipe").write_text("FROM base\n")
        digest = f"sha256:{hashlib.sha256(f'SIF {key}'.encode()).hexdigest()}"
        names = {"workflow": request.workflow, "step": request.step, "target": Target()}
        more = {"oci_digest": "sha256:1", "base_digest": "sha256:2", "environment": {}}
        more |= {"created": "", "size": 4 + len(key), "duration": 0.0, "builder": "test"}
        image = Image(key=key, digest=digest, folder=folder, **names, **more)
        origin = Origin(invocation="one")
        seal(folder, image, found=Inventory(), origin=origin, key=KEY, source_date_epoch=0)
        return image


class Flows:
    """As the engine: an id runs once, at ``run``; what a flow did is recorded."""

    def __init__(self) -> None:
        self.started: dict[str, tuple[str, dict[str, Any]]] = {}
        self.over: set[str] = set()
        self.recorded: dict[str, dict[str, Any]] = {}
        self.at_start: Callable[[], None] = lambda: None

    def start(self, flow: str, payload: Any, *, id: str, priority: Any = None) -> None:
        self.started.setdefault(id, (flow, json.loads(json.dumps(payload))))
        if flow == FLOW:
            self.at_start()

    def cancel(self, id: str) -> None:
        """Nobody does."""

    def state(self, id: str) -> str | None:
        return None if id not in self.started else "SUCCESS" if id in self.over else "PENDING"

    def ended(self, id: str) -> bool:
        return id in self.over


class Steps:
    """As a flow of the engine: a step that is recorded does not run again.

    The worker dies when the step ``dies_at`` has had its effect, before that is recorded.
    """

    def __init__(self, desk: Desk, id: str, dies_at: str = "") -> None:
        self.desk, self.id, self.dies_at = desk, id, dies_at
        self._recorded = desk.flows.recorded.setdefault(id, {})

    def step(self, name: str, act: Any, *args: Any, waiting: Any = None) -> Any:
        if name == "await-builds":
            self.desk.build()
        if name not in self._recorded:
            outcome = self._outcome(act, args, waiting)
            if name == self.dies_at:
                raise Killed
            self._recorded[name] = outcome
        kind, value = self._recorded[name]
        if kind == "error":
            raise EntryError(value)
        return json.loads(value)

    def _outcome(self, act: Any, args: Any, waiting: Any) -> tuple[str, str]:
        for _ in range(9):
            try:
                return "value", json.dumps(act(*args))
            except SiteError as error:
                if not error.transient:
                    return "error", str(error)
                if waiting is not None:
                    waiting(str(error))
                self.desk.waited()
            except EntryError as error:
                return "error", str(error)
        raise AssertionError(f"{act} waits for ever")

    def start_child(self, flow: str, payload: Any, *, id: str) -> Any:
        assert flow == DEPLOYMENT
        if id not in self.desk.flows.over:
            run_deployment(self.desk.effects, Steps(self.desk, id, self.dies_at), payload)
            self.desk.flows.over.add(id)
        return SimpleNamespace(result=lambda: None)


class Desk:
    """A service as those see it who ask for deployments."""

    first = second = ""  # the commits that were deployed

    def __init__(self, folder: Path) -> None:
        self.folder, self.transport, self.flows = folder, Away(), Flows()
        self.waited: Callable[[], None] = lambda: None
        self._one_builds = threading.Lock()
        self.database = Database(f"sqlite:///{folder}/waas.db")
        self.journal, self.registries = Journal(self.database), Registries.single()
        names = (REPO, "software-catalog")
        self.forges = {name: BareGitForge(folder / f"{name}.git") for name in names}
        self.mains = Mains(self.forges, Marks(self.database))
        self.images, self.sites = QuickImages(folder), SiteDirectory(folder / "sites")
        requests, records = (
            Requests(self.forges, self.mains),
            BuildRecords(self.database, self.journal),
        )
        self.builds = Builds(records, self.flows, lambda: self.images, requests)
        connections: Any = SimpleNamespace(to=lambda _site: self.transport)
        self.deployments = Deployments(
            self.database, self.journal, connections, folder / "signers", self.registries
        )
        self.deploying = DeploymentRequests(self.deployments, self.flows, self.journal)
        around = {"notices": self.forges, "mergeable": self.forges, "engine": self.flows}
        around |= {"images": lambda: self.images, "work": folder / "work", "url": ""}
        own = ("database", "forges", "registries", "mains", "sites", "builds", "deployments")
        around |= {name: getattr(self, name) for name in (*own, "deploying")}
        self.effects = desk_of(Around(**around, hosted=frozenset())).effects
        self.on = OnRequest(self.effects, self.journal)

    def build(self) -> None:
        """Make the images that were asked for."""
        with self._one_builds:
            for name, (flow, payload) in list(self.flows.started.items()):
                if flow == BUILD and name not in self.flows.over:
                    try:
                        self.builds.make(payload["build"], name)
                    except EntryError as error:
                        self.builds.fail(payload["build"], str(error))
                    self.flows.over.add(name)

    def commit(self, files: dict[str, str], branch: str = "main") -> str:
        """Commit files to a branch, which begins at main."""
        bare = Repo(str(self.forges[REPO].fetch("").git_dir))
        with_clone = self.folder / "clone"
        if not with_clone.exists():
            Repo.clone_from(str(bare.git_dir), str(with_clone))
        clone = Repo(str(with_clone))
        clone.git.fetch("origin")
        clone.git.checkout("-B", branch, "origin/main")
        for path, text in files.items():
            file = with_clone / path.rstrip("*")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        clone.git.add("--all")
        made = clone.index.commit("change", author=WHO, committer=WHO, skip_hooks=True)
        # straight into the objects: the gate of main is not what is tested here
        bare.git.fetch(str(with_clone), f"+HEAD:refs/heads/{branch}")
        return str(made.hexsha)

    def merge(self, files: dict[str, str]) -> str:
        """Have a change on main, and what follows from it."""
        commit = self.commit(files)
        self.mains.saw(REPO, commit)
        payload = {"registry": "main", "commit": commit}
        run_merge(self.effects, Steps(self, f"merge:{commit}"), payload)
        return commit

    def version(self, text: str) -> str:
        """Have another version of the workflow on main, and at the site."""
        return self.merge(workflow("rom", text, sites=SITE))

    def ask(self, action: str, id: str = "1", workflow: str = "rom", **more: Any) -> str:
        """Ask for something; what was answered."""
        return self.deploying.request(action, workflow, SITE, by="ada", id=id, **more)

    def run(self, id: str = "1", dies_at: str = "") -> None:
        """Run a request as far as it goes."""
        name = f"{FLOW}:{id}"
        assert self.flows.started[name][0] == FLOW
        run_request(self.on, Steps(self, name, dies_at), self.flows.started[name][1])
        self.flows.over.add(name)

    def do(self, action: str, id: str = "1", **more: Any) -> tuple[str, str]:
        """Ask, run, and say how it ended."""
        self.ask(action, id, **more)
        self.run(id)
        return self.deploying.outcome(id)

    def lines(self, id: str = "1") -> list[str]:
        """The journal of a request."""
        return [line.content for line in self.journal.read(subject_of(id))[0]]

    def row(self, workflow: str = "rom") -> Deployment:
        """The record of a workflow at the site."""
        found = self.deployments.get(f"{workflow}@{SITE}")
        assert found is not None
        return found

    def serving(self, workflow: str = "rom") -> str:
        """The commit that serves at the site, by the site's own word; empty if none does."""
        current = self.folder / "site" / "workflows" / workflow / "current"
        return current.readlink().name if current.is_symlink() else ""

    def execute(self, state: str = "QUEUED") -> None:
        """Have an execution of the workflow."""
        values = {"id": f"e-{state}", "workflow": "rom", "site": SITE, "commit": "", "owner": "bob"}
        with self.database.session() as session:
            more = {"deployment": f"rom@{SITE}", "login": "bob", "credential": "c", "state": state}
            session.add(Execution(**values, **more))


def _begin(folder: Path) -> None:
    """Repositories, sites on this machine, a database, and the key that signs images."""
    for name, files in (
        (REPO, {"README.md": "start"}),
        ("software-catalog", {"README.md": "start"}),
    ):
        for path, text in files.items():
            file = folder / "seed" / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        create(folder / f"{name}.git", folder / "seed" / name)
    Database(f"sqlite:///{folder}/waas.db").migrate()
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    (folder / "signers").write_text(write_signers([public_key(KEY)], NAMESPACE, moment))
    (folder / "site").mkdir()
    (folder / "sites").mkdir()
    for name in (SITE, OTHER):
        paths = {"deploy": str(folder / "site"), "work": str(folder / "scratch")}
        site = {"site": name, "transport": {"kind": "local"}, "queue": {"kind": "direct"}}
        (folder / "sites" / f"{name}.yaml").write_text(yaml.safe_dump(site | {"paths": paths}))


class KeptDesk:
    """A desk with two versions of ``rom`` at the site, to begin from again and again."""

    def __init__(self, folder: Path) -> None:
        self._desk, self._kept = folder / "desk", folder / "kept"
        self._desk.mkdir()
        _begin(self._desk)
        desk = Desk(self._desk)
        self._commits = desk.version("1"), desk.version("2")
        self._images = desk.images.there
        desk.database.engine.dispose()
        for forge in desk.forges.values():  # few files: they are copied for each test
            Repo(str(forge.fetch("").git_dir)).git.gc("--quiet", "--prune=now")
        shutil.rmtree(self._desk / "clone")
        self._desk.rename(self._kept)

    def open(self) -> Iterator[Desk]:
        """One in that state, at the same place: what lies at a site knows its path."""
        shutil.copytree(self._kept, self._desk, symlinks=True)
        desk = Desk(self._desk)
        desk.images.there = dict(self._images)
        desk.first, desk.second = self._commits
        yield desk
        desk.builds.stop()
        desk.database.engine.dispose()
        shutil.rmtree(self._desk)
