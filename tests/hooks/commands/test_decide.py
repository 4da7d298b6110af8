"""Who may have what done: the forge's rights, main's policy, and never oneself for a fork."""

from dataclasses import replace

import pytest

from ci.policy import Policy
from hooks.commands.decide import Facts, refusal
from hooks.commands.parse import Command

OPEN = Facts("OPEN", "ada", "ada", trusted=True, head="a" * 40, sites=("alpha", "beta"))
FORK = replace(OPEN, author="eve", pusher="eve", trusted=False)
MERGED = replace(OPEN, state="MERGED")
HEAD = "a" * 40
BUILD, DEPLOY = Command("build", ("alpha",), HEAD[:8]), Command("deploy", ("alpha",))


def ask(command, person, *rights, facts=OPEN, policy=None):
    return refusal(command, person, lambda right: right in rights, facts, policy or Policy())


@pytest.mark.parametrize("name", ["validate", "plan", "help"])
def test_anybody_may_have_it_looked_at(name):
    assert ask(Command(name), "stranger") == ""


def test_building_takes_a_right_or_the_list():
    assert "may not have images built" in ask(BUILD, "bob")
    assert ask(BUILD, "bob", "build") == ""
    assert ask(BUILD, "Bob", policy=Policy(build=frozenset({"bob"}))) == ""


def test_a_fork_is_built_when_another_maintainer_asks():
    assert ask(BUILD, "ada", "build", facts=FORK) == ""
    assert "another maintainer" in ask(BUILD, "Eve", "build", facts=FORK)
    listed = Policy(build=frozenset({"bob"}))
    assert "may not" in ask(BUILD, "bob", facts=FORK, policy=listed)
    never = Policy(fork_builds="never")
    assert "not built here" in ask(BUILD, "ada", "build", facts=FORK, policy=never)


def test_who_pushed_to_a_fork_cannot_ask_for_it_either():
    facts = replace(FORK, pusher="mallory")
    assert "another maintainer" in ask(BUILD, "mallory", "build", facts=facts)


def test_for_a_fork_the_commit_that_was_looked_at_is_named():
    bare, older = Command("build"), Command("build", (), "b" * 8)
    assert "may not" in ask(bare, "bob", facts=FORK)  # who may not need not name anything
    assert "name the commit you looked at: /build aaaaaaaaaa" in ask(
        bare, "ada", "build", facts=FORK
    )
    assert "is not what it is at" in ask(older, "ada", "build", facts=FORK)
    assert "is not what it is at" in ask(older, "ada", "build")
    assert ask(bare, "ada", "build") == ""


def test_the_author_may_cancel():
    assert ask(Command("cancel"), "ADA") == ""
    assert ask(Command("cancel"), "bob") != ""
    assert ask(Command("cancel"), "bob", "build") == ""


def test_deploying_takes_the_sites_list_or_the_right():
    assert ask(DEPLOY, "ada", "deploy", facts=MERGED) == ""
    assert "may not deploy" in ask(DEPLOY, "ada", "build", "merge", facts=MERGED)
    listed = Policy(deploy={"alpha": frozenset({"grace"})})
    assert ask(DEPLOY, "grace", facts=MERGED, policy=listed) == ""
    assert "may not deploy" in ask(DEPLOY, "ada", "deploy", facts=MERGED, policy=listed)


def test_only_what_was_merged_is_deployed():
    assert "merge it first" in ask(DEPLOY, "ada", "deploy")
    assert ask(Command("rollback", ("alpha",)), "ada", "deploy") == ""


def test_a_closed_pull_request_is_left_alone():
    closed = replace(OPEN, state="CLOSED")
    for command in (Command("validate"), BUILD):
        assert "is closed" in ask(command, "ada", "build", facts=closed)


def test_a_site_must_be_there():
    assert "there is no site 'gamma'" in ask(Command("build", ("gamma",)), "ada", "build")
