"""Queue systems by kind. A backend is a module here and a line in ``QUEUES``."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ci.errors import SettingsError
from ci.site import Site
from hooks.sites.queues.direct import Direct
from hooks.sites.queues.slurm import Slurm
from hooks.sites.seams import QueueSystem

QUEUES: Mapping[str, Callable[[], QueueSystem]] = {"slurm": Slurm, "direct": Direct}


def queue_system(site: Site) -> QueueSystem:
    """The command language of the site's queue system. Raises ``SettingsError``."""
    try:
        return QUEUES[site.queue.kind]()
    except KeyError:
        raise SettingsError(
            f"site {site.name}: queue.kind: {site.queue.kind!r} is unknown",
            hint=f"known: {', '.join(QUEUES)}",
        ) from None
