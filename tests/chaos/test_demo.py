"""The whole story with ``kill -9`` of the service in each phase: the right result all the same.

One run of ``waas demo`` is judged from several sides, since it takes a minute or two.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from hooks.testbed.setup import Tools

pytestmark = [pytest.mark.cluster, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(1500)]


@dataclass(frozen=True)
class Told:
    code: int
    text: str
    folder: Path
    keepsakes: Path


@pytest.fixture(scope="module")
def told(testbed_tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("demo") / "stage"
    argv = [sys.executable, "-m", "hooks.cli.main", "demo", "--kill-in", "each", "--keep"]
    done = subprocess.run(
        [*argv, "--folder", str(folder)],
        env={**os.environ, "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1400,
    )
    print(done.stdout)
    return Told(done.returncode, done.stdout, folder, testbed_tools.cache / "demo")


@pytest.mark.xdist_group("demo")
class TestDemo:
    def test_it_ends_well_although_the_service_is_killed_in_each_phase(self, told: Told) -> None:
        assert told.code == 0
        assert "the service was killed during: validate, build, deploy, run" in told.text

    def test_no_job_is_submitted_twice(self, told: Told) -> None:
        for site in ("alpha", "beta"):
            assert f"{site}: 3 jobs were submitted, none of them twice" in told.text

    def test_the_result_is_right(self, told: Told) -> None:
        report = json.loads((told.keepsakes / "report.json").read_text())
        assert report["passed"] is True
        assert 0 < report["largest_error"] <= report["error_bound"]
        assert (told.keepsakes / "report.png").read_bytes().startswith(b"\x89PNG")

    def test_the_pusher_reads_verdict_and_plan(self, told: Told) -> None:
        assert "pull request #1:" in told.text
        assert "deploy reduced_order_model to alpha, after the merge" in told.text

    def test_a_mistake_is_refused_with_its_place_and_remedy(self, told: Told) -> None:
        assert "did not pass" in told.text
        assert "reduced_order_model/simulate/eflows4hpc.yaml:" in told.text
        assert "report.py" in told.text

    def test_the_second_site_is_served_from_the_store(self, told: Told) -> None:
        assert told.text.count("from the store") >= 3

    def test_a_site_that_is_down_is_waited_for(self, told: Told) -> None:
        assert "beta: waiting" in told.text
        assert "beta is up again" in told.text

    def test_nothing_of_it_is_left_running(self, told: Told) -> None:
        place = str(told.folder)
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            assert place not in words, words.replace("\0", " ")
        assert place not in Path("/proc/mounts").read_text()

    def test_secrets_stand_in_no_log(self, told: Told) -> None:
        for log in (told.folder / "home" / "logs").iterdir():
            text = log.read_text(errors="replace")
            assert "PRIVATE KEY" not in text
            assert "waas_" not in text

    def test_nobody_is_shown_a_traceback(self, told: Told) -> None:
        assert "Traceback" not in told.text
