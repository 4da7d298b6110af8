from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from ci.errors import EntryError, SiteError
from hooks.data.http import HttpMover
from hooks.data.movers import mover_for, movers

CONTENT = os.urandom(300_000)
HERE = frozenset({"127.0.0.1"})


class Web(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, dict(self.headers)))
        act = {
            "/file": self.file,
            "/cut": self.cut,
            "/loop": lambda: self.go("/loop"),
            "/hop": lambda: self.go("/file"),
            "/away": lambda: self.go("http://169.254.169.254/latest/meta-data"),
            "/etc": lambda: self.go("file:///etc/passwd"),
            "/endless": self.endless,
        }.get(self.path.partition("?")[0])
        if act:
            act()
        else:
            self.send_error(int(self.path[1:].partition("?")[0]))

    def file(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def cut(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000])

    def go(self, where: str) -> None:
        self.send_response(302)
        self.send_header("Location", where)
        self.send_header("Set-Cookie", "a=b")
        self.end_headers()

    def endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 65536)
        except OSError:
            return

    def log_message(self, *args: object) -> None:
        return


@pytest.fixture
def web() -> Iterator[str]:
    Web.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Web)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def mover() -> HttpMover:
    return HttpMover(private_hosts=HERE)


@pytest.mark.parametrize("path", ["/file", "/hop"])
def test_a_file_arrives_whole_and_alone(web: str, mover, tmp_path: Path, path: str) -> None:
    target = tmp_path / "new" / "file"
    assert mover.fetch(web + path, target, most_bytes=1 << 20) == len(CONTENT)
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("path", ["/file", "/endless"])
def test_more_than_may_be_is_not_kept(web: str, mover, tmp_path: Path, path: str) -> None:
    with pytest.raises(EntryError, match="larger than 1000 bytes"):
        mover.fetch(web + path, tmp_path / "f", most_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_was_cut_may_be_tried_again(web: str, mover, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="cut") as caught:
        mover.fetch(web + "/cut", tmp_path / "f", most_bytes=1 << 20)
    assert caught.value.transient
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_in_trouble_may_be_tried_again(web, mover, tmp_path: Path, status: int) -> None:
    with pytest.raises(SiteError, match=str(status)) as caught:
        mover.fetch(f"{web}/{status}", tmp_path / "f", most_bytes=1)
    assert caught.value.transient


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_file_that_is_not_given_is_the_contributors(web, mover, tmp_path, status: int) -> None:
    with pytest.raises(EntryError, match=str(status)):
        mover.fetch(f"{web}/{status}", tmp_path / "f", most_bytes=1)


def test_nobody_listening_may_be_tried_again(mover, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="no connection") as caught:
        mover.fetch("http://127.0.0.1:1/f", tmp_path / "f", most_bytes=1)
    assert caught.value.transient


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1", "0.0.0.0", "2130706433"],
)
def test_the_services_own_network_is_out_of_reach(host: str, tmp_path: Path) -> None:
    with pytest.raises((EntryError, SiteError), match=r"private network|no such host"):
        HttpMover().fetch(f"http://{host}:80/f", tmp_path / "f", most_bytes=1)


@pytest.mark.parametrize("path", ["/away", "/etc"])
def test_a_redirect_leads_nowhere_that_an_address_may_not(web, mover, tmp_path, path) -> None:
    with pytest.raises(EntryError, match=r"private network|not an address"):
        mover.fetch(web + path, tmp_path / "f", most_bytes=1 << 20)


def test_redirects_end(web: str, mover, tmp_path: Path) -> None:
    with pytest.raises(EntryError, match="redirects more than"):
        mover.fetch(web + "/loop", tmp_path / "f", most_bytes=1)


def test_nothing_of_the_services_own_is_sent(
    web: str, mover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password hunter2\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    mover.fetch(web + "/hop", tmp_path / "f", most_bytes=1 << 20)
    for _, headers in Web.seen:
        assert not {"Authorization", "Cookie"} & set(headers)


def test_what_may_be_secret_in_an_address_is_not_told(web: str, mover, tmp_path: Path) -> None:
    address = web.replace("http://", "http://me:hunter2@") + "/404?token=hunter3"
    with pytest.raises(EntryError, match="404") as caught:
        mover.fetch(address, tmp_path / "f", most_bytes=1)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("source", ["ftp://x/y", "/etc/passwd", "file:///etc/passwd", ""])
def test_other_sources_are_refused(source: str) -> None:
    with pytest.raises(EntryError, match="cannot be fetched"):
        mover_for(source, movers())
