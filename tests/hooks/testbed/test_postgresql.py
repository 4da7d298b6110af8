import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from ci.errors import SettingsError
from hooks.testbed.postgresql import Postgresql


def ask(server: Postgresql, query: str) -> object:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchone()[0] if cursor.description else None


def test_its_data_stay_when_it_stops_and_when_it_crashes(own_postgresql: Postgresql) -> None:
    ask(own_postgresql, "create table kept (number int)")
    for end in (own_postgresql.stop, own_postgresql.kill):
        ask(own_postgresql, "insert into kept values (1)")
        process = own_postgresql.pid
        end()
        assert not Path(f"/proc/{process}").exists()
        with pytest.raises(psycopg.OperationalError):
            ask(own_postgresql, "select 1")
        own_postgresql.start()
    assert ask(own_postgresql, "select count(*) from kept") == 2


def test_it_is_no_root_to_itself_and_in_its_folder_only(own_postgresql: Postgresql) -> None:
    assert ask(own_postgresql, "show listen_addresses") == ""
    assert {path.name for path in own_postgresql.folder.iterdir()} >= {"data", "log"}
    status = Path(f"/proc/{own_postgresql.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status


def test_it_dies_with_its_owner(postgresql_program: Path, own_postgresql: Postgresql) -> None:
    text = """
import os, sys, pathlib
from hooks.testbed.postgresql import Postgresql
made = Postgresql(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
made.start()
print(made.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    done = subprocess.run(
        [sys.executable, "-c", text, postgresql_program, own_postgresql.folder.parent / "other"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    process = Path("/proc", done.stdout.strip())
    limit = time.monotonic() + 20
    while process.exists() and "(zombie)" not in (process / "status").read_text():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_what_keeps_it_from_starting_is_quoted(
    postgresql_program: Path, own_postgresql: Postgresql, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="too long for a socket's path"):
        Postgresql(postgresql_program, tmp_path / ("x" * 100)).start()
    own_postgresql.stop()
    (own_postgresql.folder / "data/postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(SettingsError, match=r"PostgreSQL did not start: .*contains errors"):
        own_postgresql.start()
