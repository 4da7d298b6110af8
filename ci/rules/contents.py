"""Rules on what files hold, whatever they are for."""

from __future__ import annotations

from ci.rules.base import ContentRule

RULES: tuple[type[ContentRule], ...] = ()
