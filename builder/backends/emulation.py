"""Builds for a platform whose programs this machine can run only by an emulator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ci.errors import EntryError, SettingsError

# what starts a step of a recipe cannot be started: BuildKit's words (its runc), then Buildah's
_SHELL = re.compile(r"(?:^|: |fork/)exec /bin/sh: exec format error")


def foreign(reason: str, platform: str) -> str:
    """Return the sentence for a build that failed since no emulator is there, else nothing."""
    return f"this machine cannot run programs of {platform}" if _SHELL.search(reason) else ""


@contextmanager
def explained(platform: str) -> Iterator[None]:
    """Make that a missing emulator is the operator's to install: ``SettingsError``."""
    try:
        yield
    except EntryError as error:
        told = foreign(str(error), platform)
        if not told:
            raise
        hint = "install qemu-user-static and binfmt-support, or build on a machine of this platform"
        raise SettingsError(told, hint=hint) from error
