from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.errors import EntryError, SettingsError
from hooks.credentials.encrypted_file import KEY_FILE, EncryptedFiles

SECRET = "correct horse battery staple"


@pytest.fixture
def store(tmp_path: Path) -> EncryptedFiles:
    return EncryptedFiles.init(tmp_path / "secrets")


def test_what_was_put_is_read_listed_and_deleted(store: EncryptedFiles) -> None:
    store.put("b", "other")
    store.put("a.key", SECRET)
    assert store.list() == ["a.key", "b"]
    assert store.read("a.key") == SECRET
    store.delete("a.key")
    store.delete("a.key")
    assert store.list() == ["b"]


@settings(max_examples=20)
@given(value=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    store = EncryptedFiles.init(tmp_path_factory.mktemp("any"))
    store.put("x", value)
    assert store.read("x") == value


def test_a_second_init_keeps_the_key(store: EncryptedFiles, tmp_path: Path) -> None:
    store.put("a", SECRET)
    assert EncryptedFiles.init(tmp_path / "secrets").read("a") == SECRET


def test_files_hold_nothing_in_clear_and_only_we_read_them(
    store: EncryptedFiles, tmp_path: Path
) -> None:
    store.put("a", SECRET)
    files = list((tmp_path / "secrets").iterdir())
    assert {file.name for file in files} == {KEY_FILE, "a.secret"}
    for file in files:
        assert SECRET.encode() not in file.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", "../a", "A", "a/b", ".key", "a\n", "ä", "x" * 101])
def test_a_name_that_could_leave_the_folder_is_refused(store: EncryptedFiles, name: str) -> None:
    for act in (store.read, store.delete, lambda n: store.put(n, SECRET)):
        with pytest.raises(EntryError):
            act(name)


def test_a_missing_secret_is_told_by_name(store: EncryptedFiles) -> None:
    with pytest.raises(SettingsError, match="'gone'"):
        store.read("gone")


def test_a_file_moved_to_another_name_does_not_open(store: EncryptedFiles, tmp_path: Path) -> None:
    store.put("mine", SECRET)
    folder = tmp_path / "secrets"
    (folder / "mine.secret").rename(folder / "yours.secret")
    with pytest.raises(SettingsError, match="cannot be opened") as caught:
        store.read("yours")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("damage", [b"", b"WAAS1", b"WAAS1" + b"x" * 40, b"other format"])
def test_a_damaged_file_is_said_to_be_damaged(
    store: EncryptedFiles, tmp_path: Path, damage: bytes
) -> None:
    store.put("a", SECRET)
    (tmp_path / "secrets" / "a.secret").write_bytes(damage)
    with pytest.raises(SettingsError, match="cannot be opened"):
        store.read("a")


def test_a_key_that_others_may_read_is_refused(store: EncryptedFiles, tmp_path: Path) -> None:
    store.put("a", SECRET)
    (tmp_path / "secrets" / KEY_FILE).chmod(0o640)
    with pytest.raises(SettingsError, match="others may read"):
        store.read("a")


def test_a_lost_key_is_said_to_be_lost(store: EncryptedFiles, tmp_path: Path) -> None:
    (tmp_path / "secrets" / KEY_FILE).unlink()
    with pytest.raises(SettingsError, match="key"):
        store.put("a", SECRET)


def test_a_cut_before_the_rename_leaves_the_old_value(
    store: EncryptedFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("a", "old")

    def cut(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", cut)
    with pytest.raises(KeyboardInterrupt):
        store.put("a", "new")
    assert store.read("a") == "old"
    assert store.list() == ["a"]


def test_neither_key_nor_value_shows_in_its_text(store: EncryptedFiles, tmp_path: Path) -> None:
    store.put("a", SECRET)
    assert SECRET not in repr(store) + str(vars(store))
    assert (tmp_path / "secrets" / KEY_FILE).read_bytes().hex() not in repr(vars(store))
