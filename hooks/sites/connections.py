"""Connections to sites: one per site and login, shared by all threads of a process."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable

from ci.errors import SettingsError
from ci.site import Site, TransportSettings
from hooks.sites.seams import Transport
from hooks.sites.transports import factory

# sshd begins to refuse at 10 unauthenticated connections (MaxStartups); other workers connect too.
HANDSHAKES_IN_FLIGHT = 2

_Key = tuple[str, TransportSettings, str, str]


class Connections:
    """Hands out transports. ``read_secret`` gives the private key that a credential names."""

    def __init__(self, read_secret: Callable[[str], str]) -> None:
        self._read_secret = read_secret
        self._lock = threading.Lock()
        self._open: dict[_Key, Transport] = {}
        self._handshakes: dict[tuple[str, int], threading.Semaphore] = defaultdict(
            lambda: threading.Semaphore(HANDSHAKES_IN_FLIGHT)
        )

    def to(self, site: Site, *, user: str = "", credential: str = "") -> Transport:
        """The transport to a site; without a login, as the one that deploys.

        It connects at its first use. Raises ``SettingsError`` if no login is known.
        """
        settings = site.transport
        user, credential = user or settings.user, credential or settings.credential
        if settings.kind != "local" and not (user and credential):
            raise SettingsError(
                f"site {site.name}: no login to reach it with",
                hint="set transport.user and transport.credential in the site's file",
            )
        key = (site.name, settings, user, credential)
        with self._lock:
            if key not in self._open:
                self._open[key] = factory(site)(
                    site,
                    user,
                    lambda: self._read_secret(credential),
                    self._handshakes[settings.host, settings.port],
                )
            return self._open[key]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            transports = list(self._open.values())
            self._open.clear()
        for transport in transports:
            transport.close()
