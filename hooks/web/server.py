"""The HTTP server: waitress, kept free for those who send whole requests.

waitress reads requests in one loop and hands whole ones to threads, so that slow senders hold no
thread. Here they hold no connection either: a request must be read within 30 s (``/git/``: an
hour, but never silent for 60 s), and when there is no room for another connection, the one that
was waited for longest gives way. Webhooks have threads of their own, which slow answers to others
cannot take away, and so has git, whose answers are slow: nobody else waits for them. Who takes
less than 60 kB of an answer in a minute while a thread waits to go on with it is cut off. How much
a request may bring: ``hooks.web.request_limits``.

What waitress calls: https://docs.pylonsproject.org/projects/waitress/en/stable/design.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, cast

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import MultiSocketServer, TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from ci.errors import SettingsError
from hooks.web.request_limits import GIT, Parser
from hooks.web.webhooks.limits import refused
from hooks.web.webhooks.receiver import PREFIX as WEBHOOKS

CONNECTIONS = 500
_ROOM = 20  # connections that are still taken while others are asked to give way
_SILENT_SECONDS = 60
_HEADER_BYTES = 32_768
_WEBHOOK_THREADS = 16
_GIT_THREADS = 16
_LEAST_BYTES = 60_000  # of an answer, in _SILENT_SECONDS

_quiet = logging.getLogger(f"{__name__}.queue")
_quiet.disabled = True  # waitress has a warning for each request that waits for a thread


def is_for(prefix: str, request: Any) -> bool:
    """Whether a request goes there, by its path as waitress tells it the application."""
    return f"/{request.path.lstrip('/')}".startswith(prefix)


class Channel(HTTPChannel):
    """One connection."""

    parser_class = Parser
    request: Any = None  # the one that is being read
    _sent = 0  # bytes, in all
    _counted: tuple[float, int] | None = None  # less than enough taken since when, sent by then

    def send(self, data: Any, do_close: bool = True) -> int:
        """As waitress; counts."""
        count = int(super().send(data, do_close=do_close))
        self._sent += count
        return count

    def stalls(self, now: float) -> bool:
        """Whether a thread waits for the other side to take the answer, in vain."""
        waits = self.requests and self.total_outbufs_len >= self.adj.outbuf_high_watermark
        if self._counted is None:
            self._counted = (now, self._sent)
        since, sent = self._counted
        if not waits or self._sent - sent >= _LEAST_BYTES:
            self._counted = (now, self._sent)
            return False
        return now - since > _SILENT_SECONDS

    @property
    def waited_for_since(self) -> float:
        """Since when this is open without a whole request."""
        return float(self.request.begun_at if self.request else self.last_activity)

    def end(self) -> None:
        """Close it. waitress does that when it may write to it again: who takes nothing of what is
        left for them would stay for ever.
        """
        self.will_close = True
        if self.total_outbufs_len:
            self.handle_close()

    def service(self) -> None:
        """As waitress, in a thread: answer the next request."""
        request = self.requests[0]
        self.adj = request.adj
        if request.error and is_for(WEBHOOKS, request):  # the receiver does not see it
            refused.note(str(request.error.code), str(self.addr[0]), request.content_length)
        super().service()


class Threads(ThreadedTaskDispatcher):
    """The threads that call the application; those of webhooks and of git are theirs alone."""

    queue_logger = _quiet

    def __init__(self, count: int, apart: Mapping[str, int]) -> None:
        super().__init__()
        self._count, self._apart = count, {}
        for prefix, threads in apart.items():
            self._apart[prefix] = (ThreadedTaskDispatcher(), threads)
            self._apart[prefix][0].queue_logger = _quiet

    def start(self) -> None:
        """Start the threads."""
        self.set_thread_count(self._count)
        for threads, count in self._apart.values():
            threads.set_thread_count(count)

    def add_task(self, task: Any) -> None:
        """Have a connection's next request answered."""
        for prefix, (threads, _) in self._apart.items():
            if is_for(prefix, task.requests[0]):
                threads.add_task(task)
                return
        super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: int = 5) -> bool:
        """Stop the threads, waiting for each kind up to ``timeout`` seconds."""
        for threads, _ in self._apart.values():
            threads.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))


class Server(TcpWSGIServer):
    """A listening socket and its connections."""

    channel_class = Channel
    active_channels: Any
    effective_host: str
    effective_port: int

    def maintenance(self, now: int) -> None:
        """Every few seconds: ends those that take too long, or that are silent."""
        for channel in list(self.active_channels.values()):
            silent = channel.last_activity < now - self.adj.channel_timeout
            late = silent or (channel.request and channel.request.late(now))
            if (late and not channel.requests) or channel.stalls(now):
                channel.end()

    def handle_accept(self) -> None:
        """Take a connection; when it is full, the one that was waited for longest gives way."""
        if len(self.active_channels) >= CONNECTIONS:
            channels = self.active_channels.values()
            waiting = [c for c in channels if not c.requests and not c.will_close]
            if waiting:
                min(waiting, key=lambda channel: channel.waited_for_since).end()
        super().handle_accept()


def make_server(
    application: Any, host: str, port: int, *, threads: int = 24, trusted_proxy: str = ""
) -> Any:
    """Make a server that listens; ``run()`` serves until ``close()``. Port 0 is any that is free.

    ``trusted_proxy`` is the address of a reverse proxy whose ``X-Forwarded-For`` tells the source
    of a request. Raises ``SettingsError`` if the address cannot be had.
    """
    logging.getLogger("waitress").setLevel(logging.WARNING)  # a line per lost connection else
    proxy = {"trusted_proxy": trusted_proxy, "trusted_proxy_headers": "x-forwarded-for"}
    settings = Adjustments(
        host=host,
        port=port,
        ident="hpcwaas",
        connection_limit=CONNECTIONS + _ROOM,
        asyncore_use_poll=True,  # select(2) ends at descriptor 1023
        cleanup_interval=5,
        channel_timeout=_SILENT_SECONDS,
        log_socket_errors=False,
        max_request_header_size=_HEADER_BYTES,
        recv_bytes=65_536,
        **(proxy if trusted_proxy else {}),
    )
    dispatcher = Threads(threads, {WEBHOOKS: _WEBHOOK_THREADS, GIT: _GIT_THREADS})
    sockets: dict[int, Any] = {}
    try:
        made = list(_servers(application, settings, dispatcher, sockets))
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="another program may use it; choose another with `listen:` in waas.yaml",
        ) from error
    dispatcher.start()
    if len(made) == 1:
        return made[0]
    places = [(server.effective_host, server.effective_port) for server in made]
    return MultiSocketServer(sockets, settings, places, dispatcher, made[0].log_info)


def _servers(
    application: Any, settings: Adjustments, dispatcher: Threads, sockets: dict[int, Any]
) -> Iterable[Server]:
    for place in settings.listen:
        yield Server(
            application, sockets, dispatcher=dispatcher, adj=settings, sockinfo=cast(Any, place)
        )
