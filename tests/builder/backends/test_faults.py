"""Texts are those of the programs: apt 2.6, pip 23 and 24, git 2.39, curl 7.88, wget 1.21."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.backends.faults import failed, worlds_fault
from ci.errors import EntryError, SiteError

NEW = "<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f0c>: Failed to establish a new"
WORLDS = [
    "W: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease  Temporary failure "
    "resolving 'deb.debian.org'",
    "E: Failed to fetch http://deb.debian.org/debian/pool/main/h/hello/hello_2.10-3_amd64.deb  "
    "Could not connect to deb.debian.org:80 (151.101.2.132), connection timed out",
    "E: Failed to fetch http://mirror/debian/dists/bookworm/InRelease  503  Service Unavailable "
    "[IP: 10.0.0.1 80]",
    "E: Failed to fetch http://mirror/debian/dists/bookworm/InRelease  Could not connect to "
    "localhost:9 (127.0.0.1). - connect (111: Connection refused)",
    "E: Failed to fetch http://mirror/p.deb  File has unexpected size (1 != 2). Mirror sync in "
    "progress? [IP: 10.0.0.1 80]",
    "E: Failed to fetch http://mirror/p.deb  Connection failed [IP: 10.0.0.1 80]",
    "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after "
    f"connection broken by 'NewConnectionError('{NEW} connection: [Errno -3] Temporary failure in "
    "name resolution')': /simple/six/",
    "  WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) "
    f"after connection broken by 'NewConnectionError('{NEW} connection: [Errno 111] Connection "
    "refused')': /simple/setuptools/",
    "pip._vendor.urllib3.exceptions.ReadTimeoutError: HTTPSConnectionPool("
    "host='files.pythonhosted.org', port=443): Read timed out.",
    "ERROR: Could not install packages due to an OSError: HTTPSConnectionPool(host='pypi.org', "
    "port=443): Max retries exceeded with url: /simple/six/ (Caused by NewConnectionError(...))",
    "ERROR: HTTP error 503 while getting https://files.pythonhosted.org/packages/six-1.17.0.whl",
    "fatal: unable to access 'https://github.com/spack/spack.git/': Could not resolve host: "
    "github.com",
    "fatal: unable to access 'https://h/s.git/': Failed to connect to h port 443 after 130 ms: "
    "Couldn't connect to server",
    "fatal: unable to access 'https://h/s.git/': The requested URL returned error: 503",
    "error: RPC failed; curl 92 HTTP/2 stream 5 was not closed cleanly: CANCEL (err 8)",
    "curl: (6) Could not resolve host: example.org",
    "curl: (7) Failed to connect to localhost port 9 after 0 ms: Couldn't connect to server",
    "curl: (28) Operation timed out after 1000 milliseconds with 0 bytes received",
    "curl: (22) The requested URL returned error: 502",
    "Connecting to localhost (localhost)|127.0.0.1|:9... failed: Connection refused.",
    "2024-01-01 10:00:00 ERROR 503: Service Unavailable.",
]
CONTRIBUTORS = [
    "E: Unable to locate package nosuch",
    "E: Failed to fetch http://mirror/p.deb  404  Not Found [IP: 10.0.0.1 80]",
    "E: Failed to fetch http://mirror/502/p.deb  404  Not Found [IP: 10.0.0.1 80]",
    "Err:1 http://mirror/debian bookworm InRelease",
    "ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)",
    "WARNING: Retrying (Retry(total=3, connect=None, read=None, redirect=None, status=None)) after "
    "connection broken by 'ReadTimeoutError(\"Read timed out.\")': /simple/six/",
    "ERROR: HTTP error 404 while getting https://example.org/a.whl",
    "curl: (22) The requested URL returned error: 404",
    "curl: (3) URL using bad/illegal format or missing URL",
    "fatal: repository 'https://h/s.git/' not found",
    "fatal: unable to access 'https://h/s.git/': The requested URL returned error: 403",
    "ConnectionRefusedError: [Errno 111] Connection refused",  # a test of the contributor's
    "error: 503",
    "2024-01-01 10:00:00 ERROR 404: Not Found.",
]


@pytest.mark.parametrize("line", WORLDS)
def test_servers_that_do_not_answer_are_the_worlds(line: str) -> None:
    found = failed("E: Unable to locate package hello", "RUN x", ["before", line, "after"])
    assert isinstance(found, SiteError)
    assert found.transient
    assert line.strip()[:60] in found.message
    assert "RUN x" in found.hint


@pytest.mark.parametrize("line", CONTRIBUTORS)
def test_all_else_is_the_recipes(line: str) -> None:
    found = failed("the reason", "RUN x", ["before", line])
    assert isinstance(found, EntryError)
    assert "the reason" in found.message
    assert "RUN x" in found.hint


@given(st.lists(st.text(max_size=40), max_size=8))
def test_any_output_gets_an_answer(lines: list[str]) -> None:
    assert worlds_fault(lines) in {"", *(line.strip() for line in lines)}


def test_messages_stay_short() -> None:
    assert len(failed("x" * 9999, "RUN x", []).message) < 500
    assert len(failed("", "RUN x", [f"curl: (6) {'x' * 9999}"]).message) < 500
