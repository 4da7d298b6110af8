"""The allow-list: what it grants, and that a broken one grants nothing."""

import pytest

from ci.errors import EntryError
from ci.policy import Policy, policy_of, read_policy

TEXT = b"""
build: [Ada, grace]
deploy: {alpha: [ada], "*": []}
fork_builds: never
"""


class OneFile:
    def __init__(self, data: bytes | None) -> None:
        self.data = data

    def find(self, _path):
        return self.data

    def read(self, _path):
        return self.data


def test_names_are_compared_as_the_forge_does():
    policy = read_policy(TEXT)
    assert policy.may_build("ADA")
    assert not policy.may_build("eve")
    assert policy.fork_builds == "never"


def test_a_site_has_a_list_of_its_own_or_that_of_all():
    policy = read_policy(TEXT)
    assert policy.may_deploy("ada", "alpha") is True
    assert policy.may_deploy("grace", "alpha") is False
    assert policy.may_deploy("ada", "beta") is False  # by "*"
    assert Policy().may_deploy("ada", "alpha") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"biuld: []", "did you mean 'build'"),
        (b"build: ada", "build must be a list"),
        (b"build: ['a b']", "'a b' is not a user's name"),
        (b"deploy: [ada]", "deploy must be a mapping"),
        (b"deploy: {alpha: ada}", "deploy: alpha must be a list"),
        (b"fork_builds: always", "fork_builds: 'always'"),
        (b"- a", "must be a mapping"),
    ],
)
def test_a_mistake_is_named_with_its_place(text, words):
    with pytest.raises(EntryError) as caught:
        read_policy(text)
    assert words in str(caught.value)
    assert caught.value.line == 1


def test_without_a_file_the_forge_decides():
    assert policy_of(OneFile(None)) == Policy()


def test_a_broken_file_on_main_gives_nobody_a_right():
    policy = policy_of(OneFile(b"build: ["))
    assert not policy.may_build("ada")
    assert policy.may_deploy("ada", "alpha") is False
    assert policy.fork_builds == "never"
