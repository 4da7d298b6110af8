import os
import time
from pathlib import Path

import pytest

from ci.errors import SettingsError
from hooks.testbed import setup
from hooks.testbed.setup import Tools, ensure, ensure_packages, missing_packages, run_script


def test_packages_are_missed_by_their_programs_and_files(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    wanted = {
        "sh": "dash",
        "no-such-program": "zebra",
        str(tmp_path / "there"): "there",
        str(tmp_path / "absent"): "ant",
    }
    assert missing_packages(wanted) == ["ant", "zebra"]


def test_one_sentence_names_what_is_missing_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAAS_CACHE", str(tmp_path))
    monkeypatch.setattr(setup, "become_root", lambda: None)
    with pytest.raises(SettingsError) as caught:
        ensure_packages({"no-such-program": "zebra", "nor-this-one": "ant"}, print)
    assert str(caught.value) == (
        "throw-away clusters need packages that this machine lacks: ant, zebra "
        "(run as root: apt-get install --no-install-recommends ant zebra)"
    )


def test_a_failing_script_is_quoted_by_its_last_line() -> None:
    with pytest.raises(SettingsError, match=r"^trying failed: too bad$"):
        run_script(["sh", "-c", "echo first; echo too bad >&2; exit 1"], "trying")


def test_a_hanging_script_is_ended() -> None:
    with pytest.raises(SettingsError, match="took more than 0 seconds"):
        run_script(["sleep", "60"], "waiting", timeout=0.2)


@pytest.mark.cluster
def test_nothing_is_done_when_all_is_there(testbed_tools: Tools) -> None:
    told: list[str] = []
    start = time.monotonic()
    assert ensure(told.append) == testbed_tools
    assert time.monotonic() - start < 0.5
    assert told == []
    assert os.access(testbed_tools.apptainer, os.X_OK)
