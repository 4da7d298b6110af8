import multiprocessing
from pathlib import Path

import pytest

from hooks.testbed.cache import cache_dir, locked, make_once, remove


def test_the_setting_decides_where_the_cache_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAAS_CACHE", str(tmp_path / "chosen"))
    assert cache_dir() == tmp_path / "chosen"
    assert cache_dir().is_dir()


def test_without_a_setting_it_is_the_users_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAAS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_dir() == tmp_path / ".cache" / "hpcwaas"


def _make_and_note(path: Path, notes: Path) -> None:
    def make(part: Path) -> None:
        with notes.open("a") as stream:
            stream.write("made\n")
        part.mkdir()
        (part / "content").write_text("whole")

    make_once(path, make)


def test_of_many_processes_one_makes_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (tmp_path / "thing", tmp_path / "notes")
    workers = [context.Process(target=_make_and_note, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (tmp_path / "notes").read_text() == "made\n"
    assert (tmp_path / "thing" / "content").read_text() == "whole"


def test_what_an_interrupted_making_left_is_not_taken_for_whole(tmp_path: Path) -> None:
    def fail(part: Path) -> None:
        part.mkdir()
        (part / "half").touch()
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        make_once(tmp_path / "thing", fail)
    assert not (tmp_path / "thing").exists()
    made = make_once(tmp_path / "thing", Path.mkdir)
    assert list(made.iterdir()) == []


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    assert (tmp_path / "folder" / "inner").is_dir()
    remove(tmp_path / "folder")
    remove(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_keeps_another_process_out(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with locked(tmp_path / "lock"):
        other = context.Process(target=_make_and_note, args=(tmp_path / "ock", tmp_path / "notes"))
        (tmp_path / ".ock.lock").symlink_to(tmp_path / "lock")
        other.start()
        other.join(1.0)
        assert other.is_alive()
    other.join()
    assert (tmp_path / "ock").is_dir()
