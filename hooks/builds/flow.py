"""The durable body of a build. It has a queue of its own: a limit, and priorities."""

from __future__ import annotations

from typing import Any, Protocol

from ci.errors import WaasError
from hooks.engine import Cancelled, Flow


class Effects(Protocol):
    """What a build does to the world."""

    def make(self, build: str, runner: str) -> None:
        """Have the image of a build that has not ended."""

    def fail(self, build: str, reason: str) -> None:
        """Record that the image cannot be had."""

    def waits(self, build: str, reason: str) -> None:
        """Record why it does not go on for now."""


def run_build(effects: Effects, flow: Flow, payload: dict[str, Any]) -> None:
    """Have one image, however long the engine or the registry is away; a failure is recorded."""
    build = payload["build"]

    def waiting(reason: str) -> None:
        effects.waits(build, reason)

    try:
        flow.step("make", effects.make, build, flow.id, waiting=waiting)
    except Cancelled:
        return  # the row says so already
    except WaasError as error:
        flow.step("failed", effects.fail, build, str(error))
