"""Transport over SSH: commands on channels, files by SFTP, one connection that is made again.

The host is known by its pinned key alone: no known_hosts file, no agent, no keys of the service's
own user, no passwords.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from pathlib import Path, PurePosixPath

import paramiko
from paramiko.pkey import UnknownKeyType
from paramiko.ssh_exception import ChannelException, SSHException

from ci.errors import SettingsError, SiteError
from ci.site import TransportSettings
from hooks.sites.quoting import command_line
from hooks.sites.seams import Completed
from hooks.sites.transports.ssh_errors import FAULTS, connection_error, file_error
from hooks.sites.transports.ssh_streams import exchange

HANDSHAKE_SECONDS = 20.0
SILENCE_SECONDS = 60.0  # an SFTP answer that takes longer counts as lost
KEEPALIVE_SECONDS = 30
MOST_CHANNELS = 8  # sshd's MaxSessions is 10 unless its operators changed it
CHUNK_BYTES = 32768  # the largest that every SFTP server takes
READS_IN_FLIGHT = 64  # OpenSSH's own client keeps as many

_KEY_TYPES: tuple[type[paramiko.PKey], ...] = (
    paramiko.Ed25519Key,
    paramiko.ECDSAKey,
    paramiko.RSAKey,
)


class SshTransport:
    """One login on one site. Threads may share it; it connects when it is first used.

    ``private_key`` is asked for at each handshake, so a rotated key is taken up; ``handshakes``
    limits how many are in flight.
    """

    def __init__(
        self,
        site: str,
        settings: TransportSettings,
        user: str,
        private_key: Callable[[], str],
        handshakes: threading.Semaphore | None = None,
    ) -> None:
        self._site, self._settings, self._user = site, settings, user
        self._private_key = private_key
        self._handshakes = handshakes or threading.Semaphore(2)
        self._lock = threading.Lock()
        self._channels = threading.BoundedSemaphore(MOST_CHANNELS)
        self._client: paramiko.SSHClient | None = None

    def run(self, argv: Sequence[str], *, stdin: str = "", timeout: float = 60.0) -> Completed:
        """Run one command; a negative exit code says that a signal ended it.

        After ``timeout`` seconds its channel is closed; the site may let it go on.
        """
        line = command_line(argv)
        with self._channel() as channel:
            try:
                channel.settimeout(timeout)
                channel.exec_command(line)
                return exchange(channel, stdin.encode("utf-8"), timeout)
            except TimeoutError:
                message = f"{argv[0]} did not end within {timeout:g} s"
                raise SiteError(message, site=self._site, transient=True) from None
            except FAULTS as error:
                message = f"the connection was lost while {argv[0]} ran"
                raise SiteError(message, site=self._site, transient=True) from error

    def put(
        self,
        local: Path,
        remote: PurePosixPath,
        *,
        mode: int = 0o644,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Copy a file there, with many writes in flight."""
        size = local.stat().st_size
        part = remote.with_name(f".{remote.name}.{uuid.uuid4().hex}.part")
        with self._files(f"write {remote}") as files, local.open("rb") as reader:
            _make_folder(files, remote.parent)
            try:
                with files.open(str(part), "wb") as writer:
                    writer.set_pipelined(True)
                    done = 0
                    while chunk := reader.read(CHUNK_BYTES):
                        writer.write(chunk)
                        done += len(chunk)
                        if progress is not None:
                            progress(done, size)
                if files.stat(str(part)).st_size != done:
                    raise EOFError  # the server took less than it acknowledged
                files.chmod(str(part), mode)
                files.posix_rename(str(part), str(remote))
            except FAULTS:
                with contextlib.suppress(*FAULTS):
                    files.remove(str(part))
                raise

    def get(self, remote: PurePosixPath, local: Path) -> None:
        """Copy a file here, with many reads in flight."""
        local.parent.mkdir(parents=True, exist_ok=True)
        part = local.with_name(f".{local.name}.{uuid.uuid4().hex}.part")
        try:
            with self._files(f"read {remote}") as files, part.open("wb") as writer:
                files.getfo(str(remote), writer, max_concurrent_prefetch_requests=READS_IN_FLIGHT)
                writer.flush()
                os.fsync(writer.fileno())
            part.replace(local)
        finally:
            part.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the connection; the next use makes it again."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    @contextlib.contextmanager
    def _files(self, what: str) -> Iterator[paramiko.SFTPClient]:
        with self._channel() as channel:
            try:
                channel.settimeout(SILENCE_SECONDS)
                channel.invoke_subsystem("sftp")
                with paramiko.SFTPClient(channel) as files:
                    yield files
            except FAULTS as error:
                raise file_error(error, self._site, what) from error

    @contextlib.contextmanager
    def _channel(self) -> Iterator[paramiko.Channel]:
        with self._channels:
            channel = self._open_channel()
            try:
                yield channel
            finally:
                channel.close()

    def _open_channel(self) -> paramiko.Channel:
        """Open a channel; a connection that turns out dead is made again, once."""
        client = self._connected()
        try:
            return _session(client)
        except ChannelException as error:  # alive, but it grants no more channels
            raise connection_error(error, self._site, self._where) from error
        except FAULTS:
            self._drop(client)
        try:
            return _session(self._connected())
        except FAULTS as error:
            raise connection_error(error, self._site, self._where) from error

    def _drop(self, client: paramiko.SSHClient) -> None:
        with self._lock:
            if self._client is client:
                self._client = None
        client.close()

    def _connected(self) -> paramiko.SSHClient:
        with self._lock:
            transport = self._client.get_transport() if self._client else None
            if self._client is None or transport is None or not transport.is_active():
                if self._client is not None:
                    self._client.close()
                self._client = self._connect()
            return self._client

    @property
    def _where(self) -> str:
        return f"{self._user}@{self._settings.host}:{self._settings.port}"

    def _connect(self) -> paramiko.SSHClient:
        settings = self._settings
        client = paramiko.SSHClient()
        name = settings.host if settings.port == 22 else f"[{settings.host}]:{settings.port}"
        for key in _host_keys(self._site, settings.host_keys):
            client.get_host_keys().add(name, key.get_name(), key)
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        private_key = read_private_key(self._private_key())
        try:
            with self._handshakes:
                client.connect(
                    settings.host,
                    settings.port,
                    self._user,
                    pkey=private_key,
                    timeout=HANDSHAKE_SECONDS,
                    banner_timeout=HANDSHAKE_SECONDS,
                    auth_timeout=HANDSHAKE_SECONDS,
                    allow_agent=False,
                    look_for_keys=False,
                )
            transport = client.get_transport()
            if transport is None:
                raise EOFError
        except (SiteError, *FAULTS) as error:
            client.close()
            raise connection_error(error, self._site, self._where) from error
        transport.set_keepalive(KEEPALIVE_SECONDS)
        return client


def read_private_key(text: str) -> paramiko.PKey:
    """Read an unencrypted private key. Raises ``SettingsError``, which never quotes the key."""
    for kind in _KEY_TYPES:
        try:
            return kind.from_private_key(StringIO(text))
        except (SSHException, ValueError, UnicodeDecodeError):
            continue
    raise SettingsError(
        "the credential is not a private key that can be used",
        hint="store an unencrypted Ed25519, ECDSA or RSA key in OpenSSH's or PEM form",
    )


def _host_keys(site: str, lines: Sequence[str]) -> Iterator[paramiko.PKey]:
    if not lines:
        raise SettingsError(
            f"site {site}: no host key is pinned",
            hint="put the line of `ssh-keyscan -t ed25519 HOST`, compared with what the site"
            " publishes, into transport.host_keys",
        )
    for line in lines:
        try:
            kind, text = line.split()[:2]
            data = base64.b64decode(text, validate=True)
            key = paramiko.PKey.from_type_string(kind, data)
            if key.asbytes() != data:  # paramiko fills up a key that was cut short
                raise ValueError
            yield key
        except (ValueError, binascii.Error, SSHException, UnknownKeyType) as error:
            message = f"site {site}: transport.host_keys: {line!r} is not a host key"
            raise SettingsError(message, hint="for example `ssh-ed25519 AAAA…`") from error


def _session(client: paramiko.SSHClient) -> paramiko.Channel:
    transport = client.get_transport()
    if transport is None:
        raise EOFError
    return transport.open_session(timeout=HANDSHAKE_SECONDS)


def _make_folder(files: paramiko.SFTPClient, folder: PurePosixPath) -> None:
    """Make a folder and its parents; those that are there already are no error."""
    missing = []
    for path in (folder, *folder.parents):
        try:
            files.stat(str(path))
            break
        except FileNotFoundError:
            missing.append(path)
    for path in reversed(missing):
        try:
            files.mkdir(str(path))
        except OSError as error:
            try:
                files.stat(str(path))  # made by another in the meantime
            except FileNotFoundError:
                raise error from None
