"""The HTTP server: waitress, kept free for those who send whole requests.

waitress reads requests in one loop and hands whole ones to threads, so that slow senders hold no
thread. Here they hold no connection either: a request must be read within 30 s (``/git/``: an
hour, but never silent for 60 s), and when there is no room for another connection, the one that
was waited for longest gives way. Webhooks have threads of their own, which slow answers to others
cannot take away. How much a request may bring: ``hooks.web.request_limits``.

What waitress calls: https://docs.pylonsproject.org/projects/waitress/en/stable/design.html
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, cast

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import MultiSocketServer, TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from ci.errors import SettingsError
from hooks.web.request_limits import Parser
from hooks.web.webhooks.receiver import PREFIX as WEBHOOKS

CONNECTIONS = 500
_ROOM = 20  # connections that are still taken while others are asked to give way
_SILENT_SECONDS = 60
_HEADER_BYTES = 32_768
_WEBHOOK_THREADS = 16

_quiet = logging.getLogger(f"{__name__}.queue")
_quiet.disabled = True  # waitress has a warning for each request that waits for a thread


class Channel(HTTPChannel):
    """One connection."""

    parser_class = Parser
    request: Any = None  # the one that is being read

    @property
    def waited_for_since(self) -> float:
        """Since when this is open without a whole request."""
        return float(self.request.begun_at if self.request else self.last_activity)

    def service(self) -> None:
        """As waitress, in a thread: answer the next request."""
        self.adj = self.requests[0].adj
        super().service()


class Threads(ThreadedTaskDispatcher):
    """The threads that call the application; those of webhooks are for webhooks alone."""

    queue_logger = _quiet

    def __init__(self, count: int, for_webhooks: int) -> None:
        super().__init__()
        self._webhooks = ThreadedTaskDispatcher()
        self._webhooks.queue_logger = _quiet
        self._counts = (count, for_webhooks)

    def start(self) -> None:
        """Start the threads."""
        self.set_thread_count(self._counts[0])
        self._webhooks.set_thread_count(self._counts[1])

    def add_task(self, task: Any) -> None:
        """Have a connection's next request answered."""
        if f"/{task.requests[0].path.lstrip('/')}".startswith(WEBHOOKS):
            self._webhooks.add_task(task)
        else:
            super().add_task(task)

    def shutdown(self, cancel_pending: bool = True, timeout: int = 5) -> bool:
        """Stop the threads, waiting for each kind up to ``timeout`` seconds."""
        self._webhooks.shutdown(cancel_pending, timeout)
        return bool(super().shutdown(cancel_pending, timeout))


class Server(TcpWSGIServer):
    """A listening socket and its connections."""

    channel_class = Channel
    active_channels: Any
    effective_host: str
    effective_port: int

    def maintenance(self, now: int) -> None:
        """As waitress, every few seconds; ends those that take too long."""
        super().maintenance(now)
        for channel in self.active_channels.values():
            if not channel.requests and channel.request and channel.request.late(now):
                channel.will_close = True

    def handle_accept(self) -> None:
        """Take a connection; when it is full, the one that was waited for longest gives way."""
        if len(self.active_channels) >= CONNECTIONS:
            channels = self.active_channels.values()
            waiting = [c for c in channels if not c.requests and not c.will_close]
            if waiting:
                min(waiting, key=lambda channel: channel.waited_for_since).will_close = True
        super().handle_accept()


def make_server(
    application: Any, host: str, port: int, *, threads: int = 32, trusted_proxy: str = ""
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
    dispatcher = Threads(threads, _WEBHOOK_THREADS)
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
