"""Saying that something goes on, if it takes long: what is done in a moment says so by its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from ci.errors import WaasError

log = logging.getLogger(__name__)


@contextmanager
def unless_quick(say: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call ``say`` when what is done meanwhile lasts longer, in a thread of its own, or fails.

    It may be called while that ends, or after: whoever says something looks whether it still holds.
    """
    timer = threading.Timer(seconds, _try, (say,))
    timer.daemon = True
    timer.start()
    try:
        yield
    except WaasError:
        _try(say)
        raise
    finally:
        timer.cancel()


def _try(say: Callable[[], None]) -> None:
    try:
        say()
    except (WaasError, SQLAlchemyError, OSError) as error:  # the end will be told all the same
        log.warning("cannot say that something goes on: %s", error)
