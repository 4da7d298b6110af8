"""What only a connection by SSH can get wrong."""

from __future__ import annotations

import base64
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import paramiko
import pytest

from ci.errors import SettingsError, SiteError
from hooks.credentials.ssh_keys import make_key_pair
from hooks.sites.connections import HANDSHAKES_IN_FLIGHT, Connections
from hooks.sites.transports.ssh import SshTransport, read_private_key

pytestmark = pytest.mark.cluster


class Relay:
    """A port that leads to the site, and can cut what passes through it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.accepted = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            self.accepted += 1
            far = socket.create_connection(("127.0.0.1", self._port))
            self._open += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)

    def cut(self) -> None:
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open.clear()

    def close(self) -> None:
        self._server.close()
        self.cut()


@pytest.fixture
def relay(ssh_site) -> Iterator[Relay]:
    made = Relay(ssh_site.site.transport.port)
    yield made
    made.close()


@contextmanager
def to(site, store) -> Iterator:
    connections = Connections(store.read)
    yield connections.to(site)
    connections.close()


def test_another_host_key_is_refused_for_good(ssh_site, changed) -> None:
    other = paramiko.ECDSAKey.generate()
    stranger = make_key_pair(ssh_site.store, "stranger-host", "")
    rsa_like = f"{other.get_name()} {other.get_base64()}"
    for pinned in (stranger, rsa_like):
        site = changed(ssh_site.site, host_keys=(pinned,))
        with to(site, ssh_site.store) as transport, pytest.raises(SiteError) as caught:
            transport.run(("true",))
        assert not caught.value.transient
        assert "host key" in caught.value.message
        assert "transport.host_keys" in caught.value.hint


def test_one_of_several_pinned_keys_is_enough(ssh_site, changed) -> None:
    stranger = paramiko.ECDSAKey.generate()
    pins = (f"{stranger.get_name()} {stranger.get_base64()}", *ssh_site.site.transport.host_keys)
    with to(changed(ssh_site.site, host_keys=pins), ssh_site.store) as transport:
        assert transport.run(("true",)).exit_code == 0


@pytest.mark.parametrize("pins", [(), ("ssh-ed25519",), ("ssh-ed25519 !!",), ("nope AAAA",)])
def test_a_site_without_a_usable_host_key_is_the_operators(ssh_site, changed, pins) -> None:
    with (
        to(changed(ssh_site.site, host_keys=pins), ssh_site.store) as transport,
        pytest.raises(SettingsError, match="host"),
    ):
        transport.run(("true",))


def test_a_truncated_host_key_is_the_operators(ssh_site, changed) -> None:
    kind, data = ssh_site.site.transport.host_keys[0].split()[:2]
    short = base64.b64encode(base64.b64decode(data)[:20]).decode()
    with (
        to(changed(ssh_site.site, host_keys=(f"{kind} {short}",)), ssh_site.store) as transport,
        pytest.raises(SettingsError, match="host_keys"),
    ):
        transport.run(("true",))


def test_a_key_the_site_does_not_know_is_refused_for_good(ssh_site, changed) -> None:
    make_key_pair(ssh_site.store, "unknown", "")
    with (
        to(changed(ssh_site.site, credential="unknown"), ssh_site.store) as transport,
        pytest.raises(SiteError, match="login was refused") as caught,
    ):
        transport.run(("true",))
    assert not caught.value.transient
    assert "authorized_keys" in caught.value.hint
    assert "alice@127.0.0.1" in caught.value.message


def test_neither_agent_nor_files_of_the_service_are_tried(
    ssh_site, changed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_key_pair(ssh_site.store, "unknown", "")
    home = tmp_path / ".ssh"
    home.mkdir()
    (home / "id_ed25519").write_text(ssh_site.store.read("alpha-alice"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with (
        to(changed(ssh_site.site, credential="unknown"), ssh_site.store) as transport,
        pytest.raises(SiteError, match="login was refused"),
    ):
        transport.run(("true",))


def test_nobody_listening_may_pass(ssh_site, changed) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refuses
        site = changed(ssh_site.site, port=taken.getsockname()[1])
        with to(site, ssh_site.store) as transport, pytest.raises(SiteError) as caught:
            transport.run(("true",))
    assert caught.value.transient
    assert "refused" in caught.value.message


def test_a_host_that_hangs_up_may_pass(ssh_site, changed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(2):
                try:
                    server.accept()[0].close()
                except OSError:
                    return

        threading.Thread(target=hang_up, daemon=True).start()
        site = changed(ssh_site.site, port=server.getsockname()[1])
        with to(site, ssh_site.store) as transport, pytest.raises(SiteError) as caught:
            transport.run(("true",))
    assert caught.value.transient


def test_a_host_name_that_does_not_exist_is_told(ssh_site, changed) -> None:
    site = changed(ssh_site.site, host="no-such-host.invalid")
    with to(site, ssh_site.store) as transport, pytest.raises(SiteError) as caught:
        transport.run(("true",))
    assert "no-such-host.invalid" in caught.value.message


def test_a_dropped_connection_is_made_again(ssh_site, changed, relay: Relay) -> None:
    with to(changed(ssh_site.site, port=relay.port), ssh_site.store) as transport:
        for _ in range(3):
            assert transport.run(("echo", "here")).stdout == "here\n"
            relay.cut()
    assert relay.accepted == 3


def test_a_cut_while_a_command_runs_may_pass_and_is_no_result(
    ssh_site, changed, relay: Relay
) -> None:
    with to(changed(ssh_site.site, port=relay.port), ssh_site.store) as transport:
        transport.run(("true",))
        threading.Timer(0.5, relay.cut).start()
        with pytest.raises(SiteError, match="lost") as caught:
            transport.run(("sleep", "20"))
        assert caught.value.transient
        assert transport.run(("echo", "back")).stdout == "back\n"


def test_a_cut_while_a_file_goes_there_leaves_the_old_one(
    ssh_site, changed, relay: Relay, ssh_login, tmp_path: Path
) -> None:
    (tmp_path / "f").write_bytes(b"x" * (20 << 20))
    (ssh_login.seen_here / "f").write_text("old")
    with to(changed(ssh_site.site, port=relay.port), ssh_site.store) as transport:

        def cut(done: int, size: int) -> None:
            if done > size // 2:
                relay.cut()

        with pytest.raises(SiteError) as caught:
            transport.put(tmp_path / "f", ssh_login.folder / "f", progress=cut)
        assert caught.value.transient
        assert (ssh_login.seen_here / "f").read_text() == "old"
        transport.put(tmp_path / "f", ssh_login.folder / "f")
    assert (ssh_login.seen_here / "f").stat().st_size == 20 << 20


def test_a_login_has_one_connection_however_many_threads(ssh_site, changed, relay: Relay) -> None:
    site = changed(ssh_site.site, port=relay.port)
    connections = Connections(ssh_site.store.read)
    with ThreadPoolExecutor(8) as pool:
        results = list(
            pool.map(lambda n: connections.to(site).run(("echo", str(n))).stdout, range(16))
        )
    connections.close()
    assert results == [f"{n}\n" for n in range(16)]
    assert relay.accepted == 1


def test_few_handshakes_are_in_flight_at_once(ssh_site, monkeypatch: pytest.MonkeyPatch) -> None:
    now, most, lock = 0, 0, threading.Lock()
    connect = paramiko.SSHClient.connect

    def counted(self, *args, **kwargs):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.1)
        try:
            return connect(self, *args, **kwargs)
        finally:
            with lock:
                now -= 1

    monkeypatch.setattr(paramiko.SSHClient, "connect", counted)
    for user in ("waas", "bob"):
        ssh_site.cluster.authorize(user, make_key_pair(ssh_site.store, f"many-{user}", ""))
    logins = [("alice", "alpha-alice"), ("waas", "many-waas"), ("bob", "many-bob")] * 3
    connections = Connections(ssh_site.store.read)

    def who(login: tuple[str, str]) -> str:
        transport = connections.to(ssh_site.site, user=login[0], credential=login[1])
        return transport.run(("id", "-un")).stdout.strip()

    with ThreadPoolExecutor(9) as pool:
        assert list(pool.map(who, logins)) == [user for user, _ in logins]
    connections.close()
    assert most == HANDSHAKES_IN_FLIGHT


def test_a_key_is_read_anew_for_each_connection(ssh_site) -> None:
    asked = []

    def key() -> str:
        asked.append(1)
        return ssh_site.store.read("alpha-alice")

    transport = SshTransport("alpha", ssh_site.site.transport, "alice", key)
    for _ in range(2):
        transport.run(("true",))
        transport.run(("true",))
        transport.close()
    assert len(asked) == 2


def test_a_private_key_shows_nowhere(ssh_site, connections) -> None:
    transport = connections.to(ssh_site.site)
    transport.run(("true",))
    text = ssh_site.store.read("alpha-alice")
    secret = text.splitlines()[2]
    assert secret not in repr(transport) + repr(vars(transport)) + repr(vars(connections))
    with pytest.raises(SettingsError) as caught:
        read_private_key(text.replace("OPENSSH", "WRONG"))
    assert secret not in str(caught.value)


def test_a_site_without_a_login_is_the_operators(ssh_site, changed) -> None:
    with pytest.raises(SettingsError, match="login"):
        Connections(ssh_site.store.read).to(changed(ssh_site.site, user=""))


def test_an_unknown_kind_of_transport_is_the_operators(ssh_site, changed) -> None:
    with pytest.raises(SettingsError, match="known: ssh, local"):
        Connections(ssh_site.store.read).to(changed(ssh_site.site, kind="pigeon"))
