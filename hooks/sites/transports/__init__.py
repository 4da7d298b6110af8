"""Transports by kind. A backend is a module here and a line in ``TRANSPORTS``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from ci.errors import SettingsError
from ci.site import Site
from hooks.sites.seams import Transport
from hooks.sites.transports.local import LocalTransport
from hooks.sites.transports.ssh import SshTransport


class TransportFactory(Protocol):
    """Makes a transport that connects when it is first used."""

    def __call__(
        self,
        site: Site,
        user: str,
        private_key: Callable[[], str],
        handshakes: threading.Semaphore,
    ) -> Transport:
        """``private_key`` is asked for at each handshake; ``handshakes`` is held during it."""


def _ssh(
    site: Site, user: str, private_key: Callable[[], str], handshakes: threading.Semaphore
) -> Transport:
    return SshTransport(site.name, site.transport, user, private_key, handshakes)


def _local(
    site: Site,
    user: str,  # noqa: ARG001 always the service's own
    private_key: Callable[[], str],  # noqa: ARG001
    handshakes: threading.Semaphore,  # noqa: ARG001
) -> Transport:
    return LocalTransport(site.name)


TRANSPORTS: Mapping[str, TransportFactory] = {"ssh": _ssh, "local": _local}


def factory(site: Site) -> TransportFactory:
    """The factory of the site's kind of transport. Raises ``SettingsError``."""
    try:
        return TRANSPORTS[site.transport.kind]
    except KeyError:
        raise SettingsError(
            f"site {site.name}: transport.kind: {site.transport.kind!r} is unknown",
            hint=f"known: {', '.join(TRANSPORTS)}",
        ) from None
