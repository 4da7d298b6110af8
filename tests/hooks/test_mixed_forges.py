"""Two registries whose sides are on different forges, and which share a catalogue."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles.github import running
from front_door import SLUG, World, workflow

from hooks.demo.developer import Developer

pytestmark = pytest.mark.xdist_group("mixed")


class Mixed(World):
    """``main`` has its workflows on GitHub, ``course`` here; the catalogue of both is here."""

    def forges(self) -> dict[str, Any]:
        folder = self.folder / "home" / "git" / "course-workflows.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", folder], check=True)
        return {
            "repositories": {
                "workflow-registry": {"github": SLUG, "connection": "lab"},
                "software-catalog": "git/software-catalog.git",
                "course-workflows": "git/course-workflows.git",
            },
            "registries": {
                "main": {"workflows": "workflow-registry", "software": "software-catalog"},
                "course": {"workflows": "course-workflows", "software": "software-catalog"},
            },
        }


@pytest.fixture(scope="module")
def world(tmp_path_factory: Any) -> Iterator[Mixed]:
    folder: Path = tmp_path_factory.mktemp("mixed")
    with running(folder / "double") as double:
        made = Mixed(folder, double, haste=1.0)
        double.give(SLUG, "ada", "write")
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def teacher(world: Mixed, tmp_path_factory: Any) -> Developer:
    folder: Path = tmp_path_factory.mktemp("teacher")
    made = Developer(folder, world.settings.repositories["course-workflows"])
    write(made, {"README.md": "a course\n"})
    made.commit("Start")
    taken, said = made.push("HEAD:main")
    assert taken, said
    return made


def write(developer: Developer, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = developer.clone / name.removesuffix("*")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if name.endswith("*") else 0o644)


def test_workflows_of_the_same_name_live_side_by_side(world, teacher):
    number = world.double.open_pull(SLUG, "waves", "Add waves", "ada", files=workflow("waves"))
    assert world.judged(number) == "success"
    on_github = world.double.merge(SLUG, number, "lab")
    teacher.branch("waves")
    write(teacher, workflow("waves", "course"))
    here = teacher.commit("Add waves")
    taken, said = teacher.push("waves")
    assert taken, said
    assert "passed" in said, said
    taken, said = teacher.push("waves:main")
    assert taken, said
    world.until(lambda: world.current("waves") == on_github, "that of main is in place")
    world.until(lambda: world.current("course+waves") == here, "that of the course is in place")


def test_a_change_of_the_shared_catalogue_is_judged_for_both(world, teacher, tmp_path):
    catalogue = Developer(tmp_path, world.settings.repositories["software-catalog"])
    catalogue.branch("topic")
    (catalogue.clone / "README.md").write_text("changed\n")
    catalogue.commit("Change")
    taken, said = catalogue.push("topic")
    assert taken, said
    assert "passed" in said, said
    before = (world.current("waves"), world.current("course+waves"))
    taken, said = catalogue.push("topic:main")
    assert taken, said
    assert (world.current("waves"), world.current("course+waves")) == before


def test_pull_requests_of_both_are_listed_by_their_repositories(world, teacher):
    number = world.double.open_pull(SLUG, "calm", "Add calm", "ada", files=workflow("calm"))
    teacher.branch("calm")
    write(teacher, workflow("calm", "course"))
    teacher.commit("Add calm")
    taken, said = teacher.push("calm")
    assert taken, said
    assert world.judged(number) == "success"
    listed = world.get("/pulls?state=open")["pulls"]
    found = {(pull["repository"], pull["branch"]) for pull in listed}
    assert {("workflow-registry", "calm"), ("course-workflows", "calm")} <= found
