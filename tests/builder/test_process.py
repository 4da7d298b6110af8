import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.process import CancelledError, TimeLimitError, run
from ci.errors import SettingsError


def python(code: str, tmp_path: Path, timeout: float = 20.0) -> tuple[int, list[str]]:
    pieces: list[str] = []
    argv = [sys.executable, "-c", code]
    code_ = run(argv, environment={}, folder=tmp_path, on_output=pieces.append, timeout=timeout)
    return code_, pieces


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_both_streams_come_as_text_and_the_exit_code_is_a_result(tmp_path: Path) -> None:
    code = "import sys; print('é'); print('bad', file=sys.stderr); sys.exit(3)"
    exit_code, pieces = python(code, tmp_path)
    assert exit_code == 3
    assert sorted(pieces) == ["bad\n", "é\n"]


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    assert python(r"import os; os.write(1, b'\xff\n')", tmp_path) == (0, ["\ufffd\n"])


def test_the_time_limit_ends_a_program_and_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess,sys,os; p = subprocess.Popen(['sleep', '60']);"
        "open('pid', 'w').write(str(p.pid)); p.wait()"
    )
    with pytest.raises(TimeLimitError, match="within 1 seconds"):
        python(code, tmp_path, timeout=1.0)
    assert gone(int((tmp_path / "pid").read_text()))


def test_a_program_may_tidy_up_at_the_time_limit(tmp_path: Path) -> None:
    code = "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: open('tidied', 'w').close()"
    with pytest.raises(TimeLimitError):
        python(code, tmp_path, timeout=1.0)
    assert (tmp_path / "tidied").exists()


def test_a_program_that_ignores_manners_can_be_ended_at_once(tmp_path: Path) -> None:
    code = (
        "import os,signal,time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    )
    begun = time.monotonic()
    argv = [sys.executable, "-c", code]
    with pytest.raises(TimeLimitError):
        run(
            argv,
            environment={},
            folder=tmp_path,
            on_output=print,
            timeout=1.0,
            ending=signal.SIGKILL,
        )
    assert time.monotonic() - begun < 12  # a signal that is ignored is followed 15 s later
    assert gone(int((tmp_path / "pid").read_text()))


def test_it_is_asked_whether_the_work_is_still_wanted(tmp_path: Path) -> None:
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(1)
        return len(asked) > 1

    argv = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(CancelledError):
        run(
            argv,
            environment={},
            folder=tmp_path,
            on_output=print,
            timeout=60.0,
            cancelled=cancelled,
        )


def test_a_listener_that_raises_ends_the_program(tmp_path: Path) -> None:
    def stop(piece: str) -> None:
        raise KeyError(piece)

    begun = time.monotonic()
    argv = [sys.executable, "-uc", "import os,time; print(os.getpid()); time.sleep(60)"]
    with pytest.raises(KeyError) as caught:
        run(argv, environment={}, folder=tmp_path, on_output=stop, timeout=60.0)
    assert time.monotonic() - begun < 20
    assert gone(int(caught.value.args[0]))


def test_a_missing_program_is_a_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no-such-program"):
        run(["no-such-program"], environment={}, folder=tmp_path, on_output=print, timeout=1.0)


def test_programs_do_not_outlive_us(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from builder.process import run;"
        "run([sys.executable, '-uc', 'import os,time; print(os.getpid()); time.sleep(60)'],"
        "environment={}, folder=Path('.'), on_output=lambda t: print(t, flush=True), timeout=60)"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    ) as ours:
        assert ours.stdout is not None
        pid = int(ours.stdout.readline())
        ours.send_signal(signal.SIGKILL)
    assert gone(pid)
