"""The secrets of webhooks: two hold at a time, nothing is lost when it is broken off."""

import os
from pathlib import Path

import pytest

from ci.errors import EntryError, SettingsError
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.webhook_secrets import CLEAR_TEXT, SOURCES, WebhookSecrets


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> EncryptedFiles:
    return EncryptedFiles.init(tmp_path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secrets(store, tmp_path, clock) -> WebhookSecrets:
    made = WebhookSecrets(store, tmp_path, clock)
    made.make()
    return made


def test_each_source_has_a_secret_of_its_own_and_making_again_changes_none(secrets):
    before = {source: secrets.current(source) for source in SOURCES}
    assert len(set(before.values())) == len(SOURCES)
    assert all(len(text) == 64 for text in before.values())
    secrets.make()
    assert {source: secrets.current(source) for source in SOURCES} == before


def test_nothing_lies_there_in_clear_text(secrets, tmp_path):
    secrets.rotate("github")
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert secrets.current("github").encode() not in content
        assert file.stat().st_mode & 0o077 == 0
    assert secrets.current("github") not in repr(secrets._read("github"))


def test_two_hold_after_a_rotation_and_one_after_it_is_retired(secrets, clock):
    first = secrets.current("github")
    secrets.rotate("github")
    second = secrets.current("github")
    assert secrets.valid("github") == [second.encode(), first.encode()]
    secrets.rotate("github")
    third = secrets.current("github")
    clock.now += 2
    assert secrets.valid("github") == [third.encode(), second.encode()]
    assert secrets.retire("github")
    assert not secrets.retire("github")
    clock.now += 2
    assert secrets.valid("github") == [third.encode()]


def test_a_running_service_notices_a_rotation_by_another_program(secrets, store, tmp_path, clock):
    old = secrets.valid("git")
    WebhookSecrets(store, tmp_path).rotate("git")
    assert secrets.valid("git") == old
    clock.now += 1
    assert secrets.valid("git")[1:] == old
    assert len(secrets.valid("git")) == 2


def test_the_store_is_read_once_a_second_however_many_ask(secrets, clock, monkeypatch):
    reads = []
    read = EncryptedFiles.read
    monkeypatch.setattr(
        EncryptedFiles, "read", lambda self, name: reads.append(name) or read(self, name)
    )
    for _ in range(100):
        secrets.valid("git")
    assert reads == ["webhook-git"]
    clock.now += 1
    secrets.valid("git")
    assert len(reads) == 2


def test_a_service_goes_on_with_what_it_knows_when_the_store_is_away(secrets, tmp_path, clock):
    known = secrets.valid("git")
    (tmp_path / ".key").rename(tmp_path / "away")
    clock.now += 2
    assert secrets.valid("git") == known
    (tmp_path / "away").rename(tmp_path / ".key")


def test_without_secrets_none_holds_and_the_operator_is_told_what_to_do(store, tmp_path):
    empty = WebhookSecrets(store, tmp_path)
    assert list(empty.valid("git")) == []
    with pytest.raises(SettingsError, match="waas init"):
        empty.current("git")
    with pytest.raises(SettingsError, match="waas init"):
        empty.rotate("git")
    with pytest.raises(EntryError, match="github, git"):
        empty.current("gitlab")


def test_the_clear_text_file_is_sealed_then_removed(store, tmp_path):
    (tmp_path / CLEAR_TEXT).write_text("old and known\n")
    secrets = WebhookSecrets(store, tmp_path)
    secrets.make()
    assert secrets.valid("git") == [b"old and known"]
    assert secrets.current("github") != "old and known"
    assert not (tmp_path / CLEAR_TEXT).exists()


def test_a_take_over_that_was_broken_off_is_ended(store, tmp_path, monkeypatch):
    (tmp_path / CLEAR_TEXT).write_text("old and known")
    secrets = WebhookSecrets(store, tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError("no")))
        with pytest.raises(SettingsError):
            secrets.make()
    assert (tmp_path / CLEAR_TEXT).exists()
    secrets.make()
    assert secrets.valid("git") == [b"old and known"]
    assert not (tmp_path / CLEAR_TEXT).exists()


def test_when_each_was_last_used_can_be_told_by_another_program(secrets, store, tmp_path, clock):
    old = secrets.valid("github")[0]
    other = WebhookSecrets(store, tmp_path)
    assert [held.used for held in other.held()] == ["", ""]
    secrets.used("github", old)
    [mark] = tmp_path.glob(".webhook-github-*.used")
    os.utime(mark, (0, 0))
    secrets.used("github", old)
    assert mark.stat().st_mtime == 0  # at most once a minute
    clock.now += 61
    secrets.used("github", old)
    assert mark.stat().st_mtime > 0
    secrets.rotate("github")
    assert [(h.source, h.holds, bool(h.used)) for h in other.held()] == [
        ("github", "current", False),
        ("github", "previous", True),
        ("git", "current", False),
    ]
    secrets.retire("github")
    assert not mark.exists()
