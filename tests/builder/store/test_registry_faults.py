"""A registry that plays false, hands out tokens, or is cut off: a few lines of HTTP."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builder.store.distribution import Distribution
from builder.store.oci import blob_of
from ci.errors import SettingsError, SiteError

CONTENT = bytes(range(256)) * 4096
BLOB = blob_of(CONTENT)
Answer = Callable[[BaseHTTPRequestHandler], None]


class Fake(ThreadingHTTPServer):
    """Answers each request by ``answer``, and remembers them."""

    daemon_threads = True
    answer: Answer
    seen: list[tuple[str, str, dict[str, str]]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def fake() -> Iterator[Fake]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server: Any = self.server
            server.seen.append((self.command, self.path, dict(self.headers)))
            server.answer(self)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with Fake(("127.0.0.1", 0), Handler) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def reply(to: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    to.send_response(status)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        to.send_header(name.replace("_", "-"), value)
    to.end_headers()
    to.wfile.write(body)


def received(fake: Fake, folder: Path) -> bytes:
    with (folder / "got").open("xb") as file:
        Distribution(fake.url, "images").get_blob(BLOB, file)
    return (folder / "got").read_bytes()


@pytest.mark.parametrize("partial", [True, False])
def test_a_download_that_is_cut_goes_on(fake: Fake, tmp_path: Path, partial: bool) -> None:
    def cut(to: BaseHTTPRequestHandler) -> None:
        begin = int(to.headers.get("Range", "bytes=0-")[6:-1]) if partial else 0
        to.send_response(206 if begin else 200)
        to.send_header("Content-Length", str(len(CONTENT) - begin))
        to.end_headers()
        most = 400_000 if partial or len(fake.seen) < 3 else len(CONTENT)
        to.wfile.write(CONTENT[begin : begin + most])

    fake.answer = cut
    assert received(fake, tmp_path) == CONTENT
    assert len(fake.seen) == 3


def test_a_download_that_is_always_cut_ends_in_a_transient_fault(
    fake: Fake, tmp_path: Path
) -> None:
    fake.answer = lambda to: reply(to, 200, CONTENT[:10], Content_Length=str(len(CONTENT)))
    with pytest.raises(SiteError) as caught:
        received(fake, tmp_path)
    assert caught.value.transient
    assert len(fake.seen) == 4


def test_more_than_was_announced_is_refused(fake: Fake, tmp_path: Path) -> None:
    fake.answer = lambda to: reply(to, 200, CONTENT + b"x")
    with pytest.raises(SiteError, match="more than it announced"):
        received(fake, tmp_path)


def test_other_content_is_refused(fake: Fake, tmp_path: Path) -> None:
    fake.answer = lambda to: reply(to, 200, CONTENT[::-1])
    with pytest.raises(SiteError, match="is not sha256:") as caught:
        received(fake, tmp_path)
    assert not caught.value.transient


def test_small_things_have_limits(fake: Fake) -> None:
    fake.answer = lambda to: reply(to, 200, b"x" * (5 << 20))
    remote = Distribution(fake.url, "images")
    with pytest.raises(SiteError, match="sends more than"):
        remote.manifest("a" * 64)
    with pytest.raises(SiteError, match="sends more than"):
        list(remote.tags())
    with pytest.raises(SiteError, match="bytes of metadata"):
        remote.content(BLOB, 10)


def test_a_manifest_by_digest_is_the_one_asked_for(fake: Fake) -> None:
    fake.answer = lambda to: reply(to, 200, b"{}")
    wanted = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    assert Distribution(fake.url, "images").manifest(wanted) == b"{}"
    with pytest.raises(SiteError, match="is not sha256:"):
        Distribution(fake.url, "images").manifest(BLOB.digest)


@pytest.mark.parametrize(
    ("status", "transient"), [(429, True), (500, True), (503, True), (400, False), (405, False)]
)
def test_whether_it_may_work_later_is_told(fake: Fake, status: int, transient: bool) -> None:
    fake.answer = lambda to: reply(to, status)
    with pytest.raises(SiteError, match=str(status)) as caught:
        Distribution(fake.url, "images").has_manifest("a" * 64)
    assert caught.value.transient is transient


def login(folder: Path) -> Path:
    file = folder / "login"
    file.write_text("ada:s3cr3t\n")
    file.chmod(0o600)
    return file


def with_tokens(realm: str) -> Answer:
    def answer(to: BaseHTTPRequestHandler) -> None:
        if to.path.startswith("/token"):
            given = to.headers.get("Authorization") == "Basic YWRhOnMzY3IzdA=="
            reply(to, 200 if given else 401, b'{"token": "good"}' if given else b"{}")
        elif to.headers.get("Authorization") == "Bearer good":
            reply(to, 200)
        else:
            challenge = f'Bearer realm="{realm}",service="s",scope="repository:images:pull"'
            reply(to, 401, WWW_Authenticate=challenge)

    return answer


def test_a_token_is_asked_for_once(fake: Fake, tmp_path: Path) -> None:
    fake.answer = with_tokens(f"{fake.url}/token")
    remote = Distribution(fake.url, "images", login(tmp_path))
    assert remote.has_manifest("a" * 64)
    assert remote.has_manifest("b" * 64)
    assert [path.partition("?")[0] for _, path, _ in fake.seen].count("/token") == 1
    assert any("scope=repository%3Aimages%3Apull" in path for _, path, _ in fake.seen)
    with pytest.raises(SettingsError, match="does not let us in"):
        Distribution(fake.url, "images").has_manifest("a" * 64)


def test_a_password_goes_over_no_open_line(fake: Fake, tmp_path: Path) -> None:
    fake.answer = with_tokens("http://192.0.2.1/token")
    with pytest.raises(SettingsError, match="without TLS") as caught:
        Distribution(fake.url, "images", login(tmp_path)).has_manifest("a" * 64)
    assert "s3cr3t" not in str(caught.value)


def test_a_password_goes_to_no_other_host(fake: Fake, tmp_path: Path) -> None:
    """Blobs may be elsewhere (a redirect to an object store); that host gets no login."""

    def answer(to: BaseHTTPRequestHandler) -> None:
        if to.headers["Host"].startswith("localhost"):
            reply(to, 200, CONTENT)
        elif "Authorization" in to.headers:
            place = f"http://localhost:{fake.server_port}/elsewhere"
            reply(to, 307, Location=place)
        else:
            reply(to, 401, WWW_Authenticate='Basic realm="x"')

    fake.answer = answer
    with (tmp_path / "got").open("xb") as file:
        Distribution(fake.url, "images", login(tmp_path)).get_blob(BLOB, file)
    assert fake.seen[-1][1] == "/elsewhere"
    assert "Authorization" not in fake.seen[-1][2]
    assert "Authorization" in fake.seen[-2][2]


def test_an_upload_elsewhere_gets_no_login(fake: Fake, tmp_path: Path) -> None:
    def answer(to: BaseHTTPRequestHandler) -> None:
        to.rfile.read(int(to.headers.get("Content-Length", 0)))
        if to.command == "HEAD":
            reply(to, 404)
        elif to.command == "PUT":
            reply(to, 201)
        elif "Authorization" in to.headers:
            reply(to, 202, Location=f"http://localhost:{fake.server_port}/upload?state=1")
        else:
            reply(to, 401, WWW_Authenticate='Basic realm="x"')

    fake.answer = answer
    (tmp_path / "blob").write_bytes(CONTENT)
    with (tmp_path / "blob").open("rb") as file:
        Distribution(fake.url, "images", login(tmp_path)).put_blob(BLOB, file)
    method, path, headers = fake.seen[-1]
    assert (method, path) == (
        "PUT",
        f"/upload?state=1&digest=sha256%3A{BLOB.digest.removeprefix('sha256:')}",
    )
    assert headers["Content-Length"] == str(len(CONTENT))
    assert "Authorization" not in headers
