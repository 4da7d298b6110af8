"""The whole path on GitHub: opened, judged, built, merged, deployed; as App and with a token.

GitHub is a double that is held to GitHub's own description; it fails these tests by itself where
a request of ours, or an answer of its own, does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doubles.github import running
from front_door import SLUG, World, workflow

BROKEN = {"bad/waas.yaml": "title: bad\nsites: [heer]\n"}


pytestmark = pytest.mark.xdist_group("github")
as_app = pytest.mark.parametrize("world", ["app"], indirect=True, scope="module")
as_both = pytest.mark.parametrize("world", ["app", "token"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("github")
    with running(folder / "double") as double:
        made = World(folder, double, as_app=request.param == "app", haste=1.0)
        double.give(SLUG, "maria", "maintain")
        double.give(SLUG, "ada", "write")
        double.contributor(SLUG, "grace")
        made.start()
        try:
            yield made
        finally:
            made.stop()


def opened(
    world: World, branch: str, files: dict[str, str], login: str = "ada", **more: Any
) -> int:
    number: int = world.double.open_pull(SLUG, branch, f"Add {branch}", login, files=files, **more)
    return number


@as_both
def test_what_is_good_is_built_merged_and_deployed(world):
    number = opened(world, "waves", workflow("waves"))
    assert world.judged(number) == "success"
    world.until(lambda: world.pull(number)["checks"].get("waas / build here") == "success", "built")
    assert "waves" in world.report(number)
    merged = world.double.merge(SLUG, number, "maria")
    world.until(lambda: world.current("waves") == merged, "deployed")
    world.until(lambda: world.deployment("waves")["state"] == "ACTIVE", "recorded")
    told = [merged, "here", "deploy:waves", 1]
    world.until(lambda: told in world.double.effects(SLUG)["deployments"], "told")
    effects = world.double.effects(SLUG)
    assert effects["statuses"] == []
    assert effects["deployment_statuses"] == []


@as_both
def test_what_is_wrong_is_told_on_its_line_and_once(world):
    number = opened(world, "bad", BROKEN)
    assert world.judged(number) == "failure"
    told = world.report(number)
    assert "bad/waas.yaml" in told
    assert "here" in told  # the name that was meant
    world.double.push(SLUG, "bad", "ada", workflow("bad"))
    world.until(lambda: world.verdict(number) == "success", "judged again")
    assert len(world.pull(number)["comments"]) == 1
    assert "heer" not in world.report(number)
    world.double.close(SLUG, number, "ada")


@as_app
def test_one_that_is_behind_main_is_judged_by_what_its_merge_would_be(world):
    early = opened(world, "early", workflow("early"))
    assert world.judged(early) == "success"
    _, _ = merged(world, "newer", "1")
    world.double.push(SLUG, "early", "ada", workflow("early", "2"))
    assert world.judged(early) == "success"
    merge = world.double.merge(SLUG, early, "maria")
    world.until(lambda: world.current("early") == merge, "deployed")
    clash = opened(world, "clash", {"README.md": "mine\n"})
    world.double.push(SLUG, "main", "lab", {"README.md": "theirs\n"})
    world.until(lambda: world.verdict(clash) == "failure", "in conflict")
    assert "README.md" in world.report(clash)
    world.double.close(SLUG, clash, "ada")


@as_both
def test_a_fork_is_judged_and_built_only_when_a_maintainer_asks_for_that_commit(world):
    number = opened(world, "calm", workflow("calm"), "grace", fork=True)
    assert world.judged(number) == "success"
    assert "/build" in world.report(number)
    assert "waas / build here" not in world.pull(number)["checks"]
    head = world.pull(number)["head"]
    said = world.double.comment(SLUG, number, "grace", f"/build {head[:10]}")
    answered(world, number, said, accepted=False)
    assert "waas / build here" not in world.pull(number)["checks"]
    said = world.double.comment(SLUG, number, "maria", f"please\n\n/build {head[:10]}")
    answered(world, number, said, accepted=True)
    world.until(lambda: world.pull(number)["checks"].get("waas / build here") == "success", "built")
    fork = world.double.fork(SLUG, "grace")
    world.double.push(fork, "calm", "grace", workflow("calm", "evil"))
    assert world.judged(number) == "success"
    assert "waas / build here" not in world.pull(number)["checks"]  # voided by the push
    world.double.close(SLUG, number, "grace")


@pytest.mark.parametrize("fork", [False, True])
@as_app
def test_a_fork_that_is_deleted_and_a_branch_that_is(world, fork):
    number = opened(world, f"gone-{fork}", workflow("gone"), "grace" if fork else "ada", fork=fork)
    assert world.judged(number) == "success"
    source = world.double.fork(SLUG, "grace") if fork else SLUG
    world.double.delete_branch(source, f"gone-{fork}", "ada")
    name = f"/pulls/workflow-registry/{number}"
    world.until(
        lambda: world.get(name)["state"] == "CLOSED", "closed", shown=lambda: world.get(name)
    )


@as_both
def test_commands_by_rights_with_an_answer_each(world):
    number = opened(world, "talk", workflow("talk"))
    world.judged(number)
    for login, text, accepted in (
        ("ada", "/plan", True),
        ("ada", "/help", True),
        ("ada", "/deploy here", False),
        ("stranger", "/build", False),
        ("ada", "/bild", False),
    ):
        said = world.double.comment(SLUG, number, login, text)
        answered(world, number, said, accepted=accepted)
    quoted = world.double.comment(SLUG, number, "maria", "> /cancel\n\n```\n/cancel\n```\n")
    said = world.double.comment(SLUG, number, "maria", "/validate")
    answered(world, number, said, accepted=True)
    assert reactions(world, number, quoted) == []
    world.double.close(SLUG, number, "ada")


@as_app
def test_rollback_and_deploy_again_by_a_maintainer(world):
    first, _ = merged(world, "tides", "1")
    second, number = merged(world, "tides", "2")
    said = world.double.comment(SLUG, number, "maria", "/rollback here")
    answered(world, number, said, accepted=True)
    world.until(lambda: world.current("tides") == first, "back", shown=lambda: world.report(number))
    said = world.double.comment(SLUG, number, "maria", "/deploy here")
    answered(world, number, said, accepted=True)
    world.until(lambda: world.current("tides") == second, "deployed again")


@as_app
def test_a_webhook_that_never_comes_is_made_up_for(world):
    world.double.weather(lost=1.0)
    number = opened(world, "silent", workflow("silent"))
    world.double.weather()
    assert world.judged(number) == "success"
    said = None
    world.double.weather(lost=1.0)
    said = world.double.comment(SLUG, number, "ada", "/plan")
    world.double.weather()
    answered(world, number, said, accepted=True)
    world.double.close(SLUG, number, "ada")


@as_both
def test_a_delivery_that_failed_is_collected_from_the_record_of_github(world):
    world.double.weather(failed=1.0)
    number = opened(world, "failed", workflow("failed"))
    world.double.weather()
    assert world.judged(number) == "success"
    [guid] = [d["guid"] for d in world.double.deliveries()[-30:] if d["status"] == 502][-1:]
    world.until(lambda: guid in str(world.get("/deliveries?limit=100")), "it is in our list")
    world.double.close(SLUG, number, "ada")


@pytest.mark.parametrize(
    ("match", "how"),
    [
        ("POST /repos/*/issues/*/comments", "502"),
        ("POST /repos/*/issues/*/comments", "lost-after"),
        ("POST /repos/*/*", "503"),
        ("POST /repos/*/*", "cut"),
        ("PATCH /repos/*/*", "lost"),
        ("GET /repos/*/pulls*", "html"),
        ("GET /repos/*/pulls*", "404"),
        ("* /repos/*", "secondary"),
        ("* /repos/*", "slow"),
        ("POST /repos/*/issues/*/labels", "422"),
        ("GIT /*", "503"),
        ("GIT /*", "lost"),
    ],
)
@as_app
def test_github_is_not_well_for_a_while(world, match, how):
    name = f"ill-{how}-{len(match)}"
    world.double.fail(match, times=3, how=how, seconds=2)
    number = opened(world, name, workflow(name))
    assert world.judged(number, seconds=60) == "success"
    world.until(lambda: name in world.report(number), "told", shown=lambda: world.report(number))
    world.until(lambda: world.pull(number)["checks"].get("waas / build here") == "success", "built")
    world.double.heal()
    assert [c for c in world.double.effects(SLUG)["comments"] if c[0] == number] == [
        [number, world.login, 1]
    ]
    assert world.double.effects(SLUG)["check_runs"] == []
    assert world.double.effects(SLUG)["statuses"] == []
    world.double.close(SLUG, number, "ada")


def merged(world: World, name: str, version: str) -> tuple[str, int]:
    number = opened(world, f"{name}-{version}", workflow(name, version))
    assert world.judged(number) == "success"
    commit: str = world.double.merge(SLUG, number, "maria")
    world.until(lambda: world.current(name) == commit, f"{name} {version} is in place")
    world.until(lambda: world.deployment(name)["state"] == "ACTIVE", "recorded")
    return commit, number


def reactions(world: World, number: int, comment: int) -> list[str]:
    [found] = [c for c in world.pull(number)["comments"] if c["id"] == comment]
    told: list[str] = found["reactions"]
    return told


def answered(world: World, number: int, comment: int, *, accepted: bool) -> None:
    """There is one reaction of ours, and it says so."""
    found = world.until(
        lambda: reactions(world, number, comment),
        f"comment {comment} is answered",
        shown=lambda: world.pull(number),
    )
    assert found == (["rocket"] if accepted else ["confused"]), world.report(number)
