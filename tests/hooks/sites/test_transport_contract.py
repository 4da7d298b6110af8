"""What every transport keeps, each against a real site."""

from __future__ import annotations

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ci.errors import EntryError, SiteError

EIGHT_MB = 8 << 20


def test_a_command_answers_with_exit_code_and_both_streams(login) -> None:
    done = login.transport.run(("sh", "-c", 'cat; echo "$1" >&2; exit 7', "sh", "é 'x'"), stdin="ü")
    assert (done.exit_code, done.stdout, done.stderr) == (7, "ü", "é 'x'\n")


def test_arguments_arrive_as_they_were_given(login) -> None:
    words = ["*", "$HOME", "a  b", "", "`id`", "'", '"', "\\", "~", "-n", "x;y", "\t"]
    done = login.transport.run(("printf", "%s|", *words))
    assert done.stdout == "".join(f"{word}|" for word in words)


@pytest.mark.parametrize("redirect", ["", ">&2"])
def test_eight_megabytes_on_either_stream_do_not_hang(login, redirect: str) -> None:
    script = f"head -c {EIGHT_MB} /dev/zero {redirect}; echo other; echo other >&2"
    done = login.transport.run(("sh", "-c", script), timeout=60)
    big, small = (done.stderr, done.stdout) if redirect else (done.stdout, done.stderr)
    assert len(big) == EIGHT_MB + len("other\n")
    assert small == "other\n"


def test_input_larger_than_any_buffer_is_passed_whole(login) -> None:
    done = login.transport.run(("wc", "-c"), stdin="x" * EIGHT_MB, timeout=60)
    assert int(done.stdout) == EIGHT_MB


def test_a_command_need_not_read_its_input(login) -> None:
    assert login.transport.run(("true",), stdin="x" * EIGHT_MB).exit_code == 0


def test_bytes_that_are_no_text_are_replaced(login) -> None:
    assert login.transport.run(("printf", "a\\377b")).stdout == "a�b"


def test_a_program_that_is_not_there_is_a_result(login) -> None:
    done = login.transport.run(("no-such-program", "x"))
    assert done.exit_code == 127
    assert "no-such-program" in done.stderr


def test_a_command_that_a_signal_ended_has_a_negative_exit_code(login) -> None:
    assert login.transport.run(("sh", "-c", "kill -9 $$")).exit_code < 0


def test_a_command_that_takes_too_long_is_given_up(login) -> None:
    started = time.monotonic()
    with pytest.raises(SiteError, match="sleep did not end within") as caught:
        login.transport.run(("sleep", "30"), timeout=0.5)
    assert caught.value.transient
    assert time.monotonic() - started < 10
    assert login.transport.run(("echo", "on")).stdout == "on\n"


def test_output_that_a_child_holds_open_is_waited_for_as_long_as_may_be(login) -> None:
    assert login.transport.run(("sh", "-c", "(sleep 0.5; echo late) &")).stdout == "late\n"
    with pytest.raises(SiteError, match="did not end within"):
        login.transport.run(("sh", "-c", "sleep 5 & echo early"), timeout=1)


def test_a_command_sees_nothing_of_the_services_environment(
    login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAAS_DATABASE_PASSWORD", "hunter2")
    assert "hunter2" not in login.transport.run(("env",)).stdout


def test_a_line_break_in_an_argument_is_refused(login) -> None:
    with pytest.raises(EntryError, match="line break"):
        login.transport.run(("echo", "a\nrm -rf /"))


def test_a_file_goes_there_and_comes_back_whole(login, tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "new" / "folder" / "back"
    source.write_bytes(os.urandom(3_000_001))
    told: list[tuple[int, int]] = []
    target = login.folder / "new" / "folder" / "it's a file"
    login.transport.put(source, target, mode=0o640, progress=lambda *at: told.append(at))
    seen = login.seen_here / "new" / "folder" / "it's a file"
    assert seen.read_bytes() == source.read_bytes()
    assert stat.S_IMODE(seen.stat().st_mode) == 0o640
    assert told[-1] == (3_000_001, 3_000_001)
    login.transport.get(target, back)
    assert back.read_bytes() == source.read_bytes()
    assert [file.name for file in seen.parent.iterdir()] == ["it's a file"]
    assert [file.name for file in back.parent.iterdir()] == ["back"]


def test_an_empty_file_is_a_file(login, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    login.transport.put(tmp_path / "empty", login.folder / "empty")
    login.transport.get(login.folder / "empty", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b""


def test_a_file_takes_the_place_of_an_older_one(login, tmp_path: Path) -> None:
    for text in ("old and longer", "new"):
        (tmp_path / "f").write_text(text)
        login.transport.put(tmp_path / "f", login.folder / "f")
    assert (login.seen_here / "f").read_text() == "new"


def test_a_missing_file_is_final_and_leaves_nothing_here(login, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="gone") as caught:
        login.transport.get(login.folder / "gone", tmp_path / "x" / "gone")
    assert not caught.value.transient
    assert list((tmp_path / "x").iterdir()) == []


def test_a_place_that_cannot_be_written_is_final_and_named(login, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    (login.seen_here / "file").write_text("")
    for target in (login.folder / "file" / "below", "/proc/none/f"):
        with pytest.raises(SiteError, match="cannot write") as caught:
            login.transport.put(tmp_path / "f", type(login.folder)(target))
        assert not caught.value.transient


def test_threads_share_one_transport(login, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 100_000)

    def work(number: int) -> str:
        login.transport.put(tmp_path / "f", login.folder / "same" / f"{number}")
        return login.transport.run(("echo", str(number))).stdout.strip()

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(24))) == [str(number) for number in range(24)]
    assert len(list((login.seen_here / "same").iterdir())) == 24


def test_it_can_be_used_again_after_it_was_closed(login) -> None:
    login.transport.close()
    assert login.transport.run(("echo", "again")).stdout == "again\n"
