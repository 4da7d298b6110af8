"""Deployments that somebody asks for: what is done, once, and how long it holds."""

from __future__ import annotations

import threading

import pytest
from front_door import workflow
from operators_desk import OTHER, REPO, SITE, Killed

from ci.errors import EntryError, SiteError
from hooks.db import Database
from hooks.db.tables import Deployment
from hooks.dispatch.deployments import Deployments
from hooks.dispatch.flows import DEPLOYMENT
from hooks.dispatch.on_request import FLOW
from hooks.errors import NotFoundError
from hooks.forges.seams import DeploymentNotice
from hooks.journal import Journal
from hooks.registries import Registries

ROM = f"rom@{SITE}"


def test_main_is_deployed_again(desk):
    desk.do("rollback")
    assert desk.do("deploy", "2") == ("DONE", f"active at {desk.second[:10]}")
    assert desk.serving() == desk.row().active == desk.row().commit == desk.second
    assert (desk.row().state, desk.row().message) == ("ACTIVE", "")
    assert desk.images.made == []  # they were there


def test_what_was_never_deployed_is_built_first(desk):
    desk.mains.saw(REPO, desk.commit(workflow("tide", sites=SITE)))
    desk.ask("deploy", workflow="tide")
    desk.run()
    assert desk.deploying.outcome("1")[0] == "DONE"
    assert desk.serving("tide") == desk.row("tide").active == desk.mains.of(REPO)
    assert len(desk.images.made) == 1
    assert desk.row("tide").images == {"step": desk.images.made[0]}


@pytest.mark.parametrize("digits", [7, 10, 40])
def test_an_earlier_commit_is_deployed(desk, digits):
    assert desk.do("deploy", commit=desk.first[:digits])[0] == "DONE"
    assert desk.serving() == desk.first


def test_a_commit_that_is_not_on_main_is_not_deployed(desk):
    commit = desk.commit(workflow("rom", "evil", sites=SITE), "topic")
    state, message = desk.do("deploy", commit=commit)
    assert (state, desk.serving()) == ("FAILED", desk.second)
    assert "is not in the history of main (merge it first)" in message
    state, message = desk.do("deploy", "2", commit="0" * 40)
    assert (state, "there is no commit" in message) == ("FAILED", True)
    assert desk.images.made == []


@pytest.mark.parametrize("name", ["rom", "nothing", "README.md"])
def test_what_does_not_go_to_a_site_is_not_deployed_there(desk, name):
    """``rom`` went there once; main says otherwise by now."""
    desk.mains.saw(REPO, desk.commit(workflow("rom", "3", sites=OTHER)))
    desk.ask("deploy", workflow=name)
    desk.run()
    state, message = desk.deploying.outcome("1")
    assert (state, desk.serving()) == ("FAILED", desk.second)
    assert f"does not go to {SITE}" in message
    assert f"{name}/waas.yaml" in message


def test_without_a_main_there_is_nothing_to_deploy(desk, monkeypatch):
    monkeypatch.setattr(desk.mains, "of", lambda _: "")
    assert desk.do("deploy") == ("FAILED", f"{REPO} has no main yet (push one first)")


def test_the_version_before_serves_again(desk):
    assert desk.do("rollback") == ("DONE", f"rolled back to {desk.first[:10]} by ada")
    row = desk.row()
    assert desk.serving() == row.active == row.commit == desk.first
    assert (row.state, row.message) == ("ACTIVE", f"rolled back to {desk.first[:10]} by ada")
    assert row.manifest["commit"] == desk.first
    assert desk.do("rollback", "2", commit=desk.second[:9])[0] == "DONE"
    assert desk.serving() == desk.second


def test_one_cannot_go_back_further_than_the_site_has_versions(desk):
    desk.do("rollback")
    state, message = desk.do("rollback", "2")
    assert (state, desk.serving()) == ("FAILED", desk.first)
    assert "there is no version before this one" in message
    assert desk.second[:10] in message
    state, message = desk.do("rollback", "3", commit="deadbeef")
    assert (state, "there is no version deadbeef" in message) == ("FAILED", True)
    assert (desk.row().state, desk.row().active) == ("ACTIVE", desk.first)
    assert "rollback failed: there is no version deadbeef" in desk.row().message


def test_what_is_removed_is_gone_with_its_images(desk):
    assert desk.do("undeploy") == ("DONE", "removed by ada")
    row = desk.row()
    assert (row.state, row.active, row.manifest, row.images) == ("REMOVED", "", {}, {})
    assert list(desk.folder.glob("site/images/*.sif")) == []
    assert not (desk.folder / "site" / "workflows" / "rom").exists()
    assert desk.do("deploy", "2")[0] == "DONE"
    assert desk.serving() == desk.second


@pytest.mark.parametrize("action", ["rollback", "undeploy"])
def test_what_is_not_deployed_is_neither_removed_nor_rolled_back(desk, action):
    with pytest.raises(NotFoundError, match=f"tide is not deployed to {SITE}"):
        desk.ask(action, workflow="tide")
    desk.do("undeploy", "7")
    with pytest.raises(NotFoundError, match=f"rom is not deployed to {SITE}"):
        desk.ask(action)


def test_what_cannot_be_meant_is_refused_and_nothing_is_begun(desk):
    commits = ("HEAD", "main~1", "--output=x", "abc123", "A" * 40, "a" * 41, "a" * 39 + "\n")
    for commit in commits:
        with pytest.raises(EntryError, match="is not a commit"):
            desk.ask("rollback", commit=commit)
    for name in ("", "..", "a/b", "a b", "-x", "a\0b", "a@b", "é"):
        with pytest.raises(EntryError, match="cannot be the name of a workflow"):
            desk.ask("deploy", workflow=name)
    for action in ("explode", "", "DEPLOY"):
        with pytest.raises(EntryError, match=r"there is no .*one of deploy, rollback, undeploy"):
            desk.ask(action)
    assert desk.flows.started == {}


def test_what_executions_need_is_not_removed_unless_forced(desk):
    desk.execute("SUCCEEDED")
    desk.execute("QUEUED")
    with pytest.raises(EntryError, match=f"1 execution of {ROM} did not end yet"):
        desk.ask("undeploy")
    desk.execute("RUNNING")
    with pytest.raises(EntryError, match="2 executions"):
        desk.ask("undeploy")
    assert desk.do("undeploy", force=True)[0] == "DONE"
    assert desk.serving() == ""


def test_an_execution_that_began_meanwhile_keeps_its_deployment(desk):
    desk.ask("undeploy")
    desk.execute("QUEUED")
    desk.run()
    state, message = desk.deploying.outcome("1")
    assert (state, desk.serving(), desk.row().state) == ("FAILED", desk.second, "ACTIVE")
    assert "did not end yet" in message


def test_a_rollback_holds_until_main_changes_the_workflow(desk):
    desk.do("rollback")
    desk.merge({"README.md": "more", **workflow("tide", sites=SITE)})
    assert (desk.serving(), bool(desk.serving("tide"))) == (desk.first, True)
    third = desk.version("3")
    assert desk.serving() == desk.row().active == third


def test_an_earlier_commit_holds_until_main_changes_the_workflow(desk):
    """Also where the service never heard what main wants: a site that is new."""
    with desk.database.session() as session:
        session.delete(session.get_one(Deployment, ROM))
    desk.do("deploy", commit=desk.first)
    desk.merge({"README.md": "more"})
    assert desk.serving() == desk.first
    third = desk.version("3")
    assert desk.serving() == third


def test_what_was_removed_stays_so_until_main_changes_it(desk):
    desk.do("undeploy")
    desk.merge({"README.md": "more"})
    assert (desk.serving(), desk.row().state) == ("", "REMOVED")
    third = desk.version("3")
    assert desk.serving() == third


def test_the_version_of_a_rollback_can_be_merged_again(desk):
    desk.do("rollback")
    reverted = desk.version("1")
    assert desk.serving() == desk.row().active == reverted
    desk.do("rollback", "2")
    assert desk.serving() == desk.second


def test_an_image_that_cannot_be_built_leaves_what_serves(desk):
    desk.mains.saw(REPO, desk.commit({"rom/step/src/run.sh": "broken"}))
    state, message = desk.do("deploy")
    assert (state, desk.serving()) == ("FAILED", desk.second)
    assert message == (
        "failed: an image could not be built: E: no package libfoo make: *** [all] Error 1"
    )
    assert (desk.row().state, desk.row().active) == ("FAILED", desk.second)
    assert desk.lines() == [message]


def test_after_a_failure_the_next_merge_brings_main(desk):
    desk.mains.saw(REPO, desk.commit({"rom/step/src/run.sh": "broken"}))
    desk.do("deploy")
    assert desk.do("deploy", "2", commit=desk.first)[0] == "DONE"
    third = desk.version("3")
    assert (desk.serving(), desk.row().state) == (third, "ACTIVE")


def test_a_site_that_refuses_for_good_leaves_what_serves(desk, monkeypatch):
    def refused(*_args, **_options):
        raise SiteError("the disk quota is exceeded\nand more", site=SITE)

    monkeypatch.setattr(desk.transport, "run", refused)
    for request, action in (("1", "rollback"), ("2", "undeploy"), ("3", "deploy")):
        more = {"commit": desk.first} if action == "deploy" else {}
        state, message = desk.do(action, request, **more)
        assert state == "FAILED"
        assert "the disk quota is exceeded and more" in message
        assert desk.row().active == desk.serving() == desk.second


def test_a_site_that_is_away_is_waited_for_and_that_is_said(desk):
    told = []
    desk.waited = lambda: told.append((desk.row().state, desk.row().message))
    for request, action in (("1", "rollback"), ("2", "deploy"), ("3", "undeploy")):
        desk.transport.away = 2
        desk.ask(action, request)
        assert desk.deploying.outcome(request) == ("RUNNING", "")
        desk.run(request)
        assert desk.deploying.outcome(request)[0] == "DONE"
    assert [state for state, _ in told] == ["ACTIVE"] * 2 + ["WAITING"] * 2 + ["ACTIVE"] * 2
    assert all("is down for maintenance" in message for _, message in told)
    assert told[0][1].startswith("rollback waits: ")
    assert desk.row().message == "removed by ada"


def test_a_build_is_told_while_it_is_waited_for(desk, monkeypatch):
    desk.mains.saw(REPO, desk.commit({"rom/step/src/run.sh": "four"}))
    desk.ask("deploy")
    told, build = [], desk.build
    monkeypatch.setattr(desk, "build", lambda: (told.append(desk.row().message), build()))
    desk.run()
    [name] = [name for name in desk.flows.started if name.startswith("build:")]
    assert told == [f"waits for its images: {desk.flows.started[name][1]['build']}"]
    assert desk.row().message == ""


def test_how_it_is_by_now_is_told_on_the_forge(desk, monkeypatch):
    told: list[DeploymentNotice] = []
    monkeypatch.setattr(desk.forges[REPO], "show_deployment", told.append)
    desk.do("rollback")
    desk.do("rollback", "2")
    desk.do("undeploy", "3")
    assert [(n.commit, n.state) for n in told] == [
        (desk.first, "ACTIVE"),
        (desk.first, "ACTIVE"),
        (desk.first, "REMOVED"),
    ]
    assert "rollback failed" in told[1].summary


def test_the_same_id_is_one_request(desk):
    desk.merge(workflow("rom", "3", sites=SITE))
    for _ in range(3):
        desk.do("rollback")
    assert desk.serving() == desk.second
    assert len([name for name in desk.flows.started if name.startswith(FLOW)]) == 1
    assert len(desk.lines()) == 1


def test_a_request_that_nobody_made_is_not_found(desk):
    with pytest.raises(NotFoundError, match="there is no request '0'"):
        desk.deploying.outcome("0")


def test_a_request_that_broke_off_is_not_awaited_for_ever(desk):
    desk.ask("rollback")
    desk.flows.over.add(f"{FLOW}:1")
    state, message = desk.deploying.outcome("1")
    assert (state, f"in the log under {FLOW}:1" in message) == ("FAILED", True)


@pytest.mark.parametrize(
    ("earlier", "later", "serves"),
    [("deploy", "undeploy", ""), ("deploy", "rollback", "first"), ("deploy", "deploy", "first")],
)
def test_what_is_asked_later_wins_over_a_deployment_under_way(desk, earlier, later, serves):
    """The first one is planned; its images are still being built."""
    desk.mains.saw(REPO, desk.commit({"rom/step/src/run.sh": "four"}))
    desk.ask(earlier, "1")
    with pytest.raises(Killed):
        desk.run("1", dies_at="await-builds")
    more = {} if later == "undeploy" else {"commit": desk.first}
    assert desk.do(later, "2", **more)[0] == "DONE"
    desk.run("1")
    assert desk.serving() == (desk.first if serves else "")
    assert desk.row().state == ("ACTIVE" if serves else "REMOVED")
    state, message = desk.deploying.outcome("1")
    assert (state, "gave way: something else is wanted by now" in message) == ("FAILED", True)


def test_a_deployment_that_ends_after_main_went_on_claims_nothing_for_the_newer(desk, monkeypatch):
    """While one version is copied, main wants another: that one must still be brought."""
    run, newer = desk.transport.run, "f" * 40

    def wanted_meanwhile(argv, **options):
        assert desk.deployments.wanted("rom", SITE, newer, "another content")
        return run(argv, **options)

    monkeypatch.setattr(desk.transport, "run", wanted_meanwhile)
    assert desk.do("deploy", commit=desk.first)[0] == "DONE"
    row = desk.row()
    assert (row.active, row.commit, row.state) == (desk.first, newer, "DEPLOYING")
    assert desk.deployments.wanted("rom", SITE, newer, "another content")


def together(*acts):
    """Run functions at once; what they raised."""
    barrier, raised = threading.Barrier(len(acts)), []

    def run(act):
        barrier.wait(20)
        try:
            act()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return raised


def test_two_who_deploy_for_the_first_time_at_once_both_have_it(desk):
    desk.mains.saw(REPO, desk.commit(workflow("tide", sites=SITE)))
    for request in ("1", "2"):
        desk.ask("deploy", request, workflow="tide")
    assert together(lambda: desk.run("1"), lambda: desk.run("2")) == []
    assert [desk.deploying.outcome(request)[0] for request in ("1", "2")] == ["DONE", "DONE"]
    assert desk.serving("tide") == desk.row("tide").active == desk.mains.of(REPO)
    assert desk.row("tide").state == "ACTIVE"


@pytest.fixture
def on_postgresql(postgresql_url, tmp_path):
    """Deployments over an empty PostgreSQL, without a site."""
    database = Database(postgresql_url)
    database.migrate()
    yield Deployments(database, Journal(database), None, tmp_path, Registries.single())
    database.engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_record_of_a_new_deployment_is_made_once(kind, request):
    """A merge and requests, in the same moment, of what was never deployed."""
    own = {"sqlite": "desk", "postgresql": "on_postgresql"}
    made = request.getfixturevalue(own[kind])
    deployments = made.deployments if kind == "sqlite" else made
    new = {"id": f"tide@{SITE}", "workflow": "tide", "site": SITE, "commit": "a" * 40, "images": {}}
    acts = [lambda: deployments.again(new, "c")] * 3
    acts += [lambda: deployments.wanted("tide", SITE, "a" * 40, "c")] * 3
    assert together(*acts) == []
    row = deployments.get(f"tide@{SITE}")
    assert (row.commit, row.content, row.state) == ("a" * 40, "c", "DEPLOYING")
    assert deployments.mark(new, "WAITING", "the site is away")


@pytest.mark.parametrize(
    "pair", [("rollback", "undeploy"), ("deploy", "undeploy"), ("rollback", "deploy")]
)
def test_two_at_once_end_as_one_of_them_wanted(desk, pair):
    """Whoever comes last, what is recorded is what serves."""
    for request, action in zip("12", pair, strict=True):
        desk.ask(action, request)
    assert together(lambda: desk.run("1"), lambda: desk.run("2")) == []
    row = desk.row()
    assert row.active == desk.serving()
    assert row.state == ("ACTIVE" if row.active else "REMOVED")
    assert all(desk.deploying.outcome(request)[0] != "RUNNING" for request in "12")


def steps(action):
    middle = ["plan", "ask-builds", "builds", "await-builds", DEPLOYMENT, "deployed"]
    return [*(middle if action == "deploy" else [action, "done"]), "tell"]


@pytest.mark.parametrize(
    ("action", "step"),
    [(a, s) for a in ("deploy", "rollback", "undeploy") for s in steps(a)],
)
def test_a_worker_that_dies_before_a_step_is_recorded_does_it_once(desk, action, step):
    more = {"commit": desk.first} if action == "deploy" else {}
    desk.ask(action, **more)
    with pytest.raises(Killed):
        desk.run(dies_at={DEPLOYMENT: "deploy"}.get(step, step))
    desk.run()
    assert desk.serving() == desk.row().active == ("" if action == "undeploy" else desk.first)
    assert desk.deploying.outcome("1")[0] == "DONE"
    assert len(desk.lines()) == 1


@pytest.mark.parametrize("action", ["rollback", "undeploy"])
def test_a_request_that_was_done_is_not_done_over_a_later_one(desk, action):
    """Its worker died before it could say so, and is found out late."""
    desk.ask(action, "1")
    with pytest.raises(Killed):
        desk.run("1", dies_at=action)
    desk.do("deploy", "2")
    desk.run("1")
    assert desk.serving() == desk.row().active == desk.second
    assert desk.row().state == "ACTIVE"
    assert desk.deploying.outcome("1")[0] == "DONE"


@pytest.mark.parametrize("action", ["rollback", "undeploy"])
def test_a_worker_that_dies_at_the_site_is_followed_rightly(desk, action):
    """At each call of the site in turn, after its effect."""
    ends = {"rollback": desk.first, "undeploy": ""}
    for number in range(1, 100):
        desk.do("deploy", f"again-{number}")
        request = f"{action}-{number}"
        desk.ask(action, request)
        desk.transport.calls, desk.transport.dies_at = 0, number
        try:
            desk.run(request)
        except Killed:
            desk.transport.dies_at = 0
            desk.run(request)
        else:
            break
        assert desk.serving() == desk.row().active == ends[action]
        assert desk.deploying.outcome(request)[0] == "DONE"
    assert 3 < number < 50
