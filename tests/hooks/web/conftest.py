"""A web application over real rows and real commits, with images that are small files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from git import Actor, Repo

from ci.target import Target
from hooks.builds.records import BuildRecords
from hooks.builds.service import Builds
from hooks.builds.spec import Asker, BuildSpec, Requests
from hooks.db import Database
from hooks.dispatch.desk import Around, desk_of
from hooks.dispatch.pulls import PullRequests
from hooks.forges.access import AccessFile
from hooks.forges.bare_git import BareGitForge, create
from hooks.forges.marks import Mains, Marks
from hooks.hosting import Hosting
from hooks.journal import Journal
from hooks.registries import Registries
from hooks.sites.directory import SiteDirectory
from hooks.tokens import Tokens
from hooks.web.application import create as create_application

WHO = Actor("Developer", "developer@example.org")


def _make(folder: Path, name: str, files: dict[str, str]) -> None:
    for path, text in files.items():
        file = folder / f"{name}-seed" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    create(folder / f"{name}.git", folder / f"{name}-seed")


class Flows:
    """Notes which flows were started, in order."""

    def __init__(self) -> None:
        self.started: dict[str, dict[str, Any]] = {}

    def start(self, _flow: str, payload: dict[str, Any], *, id: str) -> None:
        self.started.setdefault(id, payload)


@pytest.fixture(scope="session")
def start_of_service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both repositories (one workflow of two steps) and a database, to be copied."""
    folder = tmp_path_factory.mktemp("start")
    steps = {f"rom/{step}/eflows4hpc.yaml": "apt: []\n" for step in ("solve", "report")}
    _make(folder, "workflow-registry", steps)
    _make(folder, "software-catalog", {"README.md": "start\n"})
    database = Database(f"sqlite:///{folder}/waas.db")
    database.migrate()
    database.engine.dispose()  # else its log may go while it is copied
    return folder


@pytest.fixture
def build_forges(start_of_service: Path, tmp_path: Path) -> dict[str, BareGitForge]:
    """Both repositories of a test's own."""
    shutil.copytree(start_of_service, tmp_path, dirs_exist_ok=True)
    names = ("workflow-registry", "software-catalog")
    return {name: BareGitForge(tmp_path / f"{name}.git") for name in names}


@pytest.fixture
def commit(build_forges: dict[str, BareGitForge], tmp_path: Path) -> Callable[..., str]:
    """Commit a change of a file to a branch of the workflow registry: ``commit(text, branch)``."""

    def make(text: str, branch: str = "main") -> str:
        bare = build_forges["workflow-registry"].fetch("").git_dir
        repository = Repo.clone_from(str(bare), str(tmp_path / f"clone-{text}"))
        if branch != "main":
            repository.git.checkout("-b", branch)
        file = Path(repository.working_dir) / "rom" / "solve" / "notes.txt"
        file.write_text(text)
        repository.git.add("--all")
        made = repository.index.commit(text, author=WHO, committer=WHO, skip_hooks=True)
        # straight into the objects: the gate of main is not what is tested here
        Repo(str(bare)).git.fetch(repository.working_dir, f"+HEAD:refs/heads/{branch}")
        return str(made.hexsha)

    return make


@pytest.fixture
def service(
    tmp_path: Path, build_forges: dict[str, Any], fake_images: Any, build_engine: Any
) -> SimpleNamespace:
    """What the application needs to serve builds; ``service.client`` speaks to it."""
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    fake_images.folder = tmp_path
    journal = Journal(database)
    records = BuildRecords(database, journal)
    mains = Mains(build_forges, Marks(database))
    requests = Requests(build_forges, mains)
    builds = Builds(records, build_engine, lambda: fake_images, requests)
    settings = SimpleNamespace(builder=SimpleNamespace(registry=None))
    settings.forges = SimpleNamespace(hosted={})
    deployments = SimpleNamespace(by_commit=lambda *_: [])
    made = SimpleNamespace(
        database=database,
        journal=journal,
        tokens=Tokens(database),
        images=fake_images.store,
        hosting=Hosting(build_forges, build_forges, build_forges, {}, {}, {}, AccessFile(tmp_path)),
        builds=builds,
        mains=mains,
        pulls=PullRequests(database),
        deployments=deployments,
        settings=settings,
        executions=SimpleNamespace(mine=lambda *_, **__: []),
    )
    made.desk = desk_of(
        Around(
            database=database,
            forges=build_forges,
            notices=build_forges,
            mergeable=build_forges,
            registries=Registries.single(),
            mains=mains,
            sites=SiteDirectory(tmp_path / "sites"),
            images=lambda: fake_images,
            builds=builds,
            deployments=deployments,
            deploying=None,
            engine=Flows(),
            work=tmp_path,
            hosted=frozenset(),
            url="",
        )
    )
    made.application = create_application(made)
    made.client = made.application.test_client()
    made.run = lambda: build_engine.run(made.builds)
    return made


@pytest.fixture
def ask(service: SimpleNamespace) -> Callable[..., str]:
    """Ask for the image of a step as main has it; the build: ``ask(step, asker=…, scope=…)``."""

    def make(step: str = "solve", asker: Asker | None = None, scope: str = "main") -> str:
        main = service.mains.of("workflow-registry")
        spec = BuildSpec("rom", step, main, "", Target(), scope)
        return str(service.builds.ask(spec, asker or Asker.user("alice")).build)

    return make


@pytest.fixture
def served(service: SimpleNamespace) -> Any:
    """The application on a real port of this machine, as ``waas serve`` runs it; its URL."""
    import threading

    import waitress.server

    server = waitress.server.create_server(
        service.application, host="127.0.0.1", port=0, threads=32
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    service.builds.stop()
    server.task_dispatcher.shutdown()
    server.close()
    thread.join(10)
