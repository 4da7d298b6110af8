"""The file of rights: what it grants, how it is written, and keys that can do nothing else."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError, SettingsError
from hooks.cli.git import read_request
from hooks.forges.access import Access, AccessFile, GitUser, authorized_keys, read_access

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5m2W1mZ0qk2oYQm0gT3b8m8cQm1Qy3b5m2W1mZ0qk2 ada@laptop"
TEXT = f"""
everyone: read
users:
  ada:
    keys: [{KEY}]
    rights: {{workflow-registry: merge}}
  bob:
    rights: {{"*": propose, software-catalog: none}}
"""


def test_rights_are_by_repository_and_never_below_everybodys():
    access = read_access(TEXT.encode(), "f")
    assert access.level("ada", "workflow-registry") == "merge"
    assert access.level("ada", "software-catalog") == "read"
    assert access.level("bob", "workflow-registry") == "propose"
    assert access.level("bob", "software-catalog") == "read"
    assert access.level("eve", "workflow-registry") == "read"


@pytest.mark.parametrize(
    ("user", "right", "may"),
    [
        ("ada", "merge", True),
        ("ada", "deploy", True),
        ("bob", "build", True),
        ("bob", "merge", False),
        ("eve", "build", False),
        ("eve", "read", True),
    ],
)
def test_a_level_answers_for_the_rights_of_forges(user, right, may):
    assert read_access(TEXT.encode(), "f").may(user, "workflow-registry", right) is may


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("user: {}", "did you mean 'users'"),
        ("everyone: merge", "everyone: 'merge'"),
        ("users: {Ada: {}}", "'Ada' cannot be a user's name"),
        ("users: {ada: {keys: [x]}}", "not a public key"),
        ("users: {ada: {rights: {r: write}}}", "no such right"),
        ('users: {ada: {keys: [\'command="x" ' + KEY + "']}}", "not a public key"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, words):
    (tmp_path / "f.yaml").write_text(f"\n{text}\n")
    with pytest.raises(SettingsError) as caught:
        AccessFile(tmp_path / "f.yaml").read()
    assert words in str(caught.value)
    assert "f.yaml:2" in str(caught.value)


def test_it_is_written_for_us_alone_and_read_again(tmp_path):
    file = AccessFile(tmp_path / "f.yaml")
    assert file.read() == Access()
    access = read_access(TEXT.encode(), "f")
    file.write(access)
    assert file.read() == access
    assert file.path.stat().st_mode & 0o777 == 0o600
    file.write(Access(everyone="none"))
    assert file.read().level("ada", "workflow-registry") == "none"
    assert [p.name for p in tmp_path.iterdir()] == ["f.yaml"]


def test_a_key_may_do_one_thing():
    users = {"ada": GitUser((KEY,))}
    [line] = authorized_keys(Access(users), ["/my venv/python", "-c", 'a"b\\']).splitlines()
    assert line.startswith('restrict,command="')
    command = line.removeprefix('restrict,command="').removesuffix(f'" {KEY}')
    assert shlex.split(command.replace('\\"', '"').replace("\\\\", "\\")) == [
        "/my venv/python", "-c", 'a"b\\', "ada",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        "git-upload-pack 'workflow-registry.git'",
        "git upload-pack '/workflow-registry.git'",
        "git-upload-pack /workflow-registry/",
    ],
)
def test_git_is_served(asked):
    assert read_request(asked, "ada") == ("git-upload-pack", "workflow-registry")


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "bash",
        "git-upload-pack '../x.git'",
        "git-upload-pack /home/ada/x.git",
        "git-upload-pack --upload-pack=id x.git",
        "git-upload-pack 'a.git'; id",
        "git-upload-pack $(id)",
        "git-upload-archive 'a.git'",
        "git shell 'a.git'",
        "git-receive-pack 'a.git' 'b.git'",
        "git-upload-pack 'unclosed",
        "git-upload-pack 'a\n.git'",
    ],
)
def test_nothing_else_is(asked):
    with pytest.raises(EntryError, match="hello ada: there is no shell here"):
        read_request(asked, "ada")


@given(st.text())
def test_any_request_is_read_or_refused(asked):
    try:
        service, repository = read_request(asked, "ada")
    except EntryError:
        return
    assert service in {"git-upload-pack", "git-receive-pack"}
    assert repository.replace("-", "").isalnum()
