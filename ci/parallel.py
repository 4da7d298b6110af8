"""The same for many items, by several processes where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

_PAYS = 64  # items: below, starting processes takes longer than they save
_CHUNK = 16  # items handed to a process at a time

T = TypeVar("T")
_function: Callable[[str], Any]  # of a child, inherited when it was forked


def spread(function: Callable[[str], T], items: Sequence[str], workers: int) -> Iterator[T]:
    """What ``function`` gives for each item, in their order.

    Children are forked, so ``function`` may be anything, and what it reads needs no copy. A caller
    with threads must not ask for more than one worker: a lock that one of them holds would stay
    locked in the children.
    """
    if workers < 2 or len(items) < _PAYS:
        yield from map(function, items)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(
        workers, mp_context=get_context("fork"), initializer=_inherit, initargs=(function,)
    ) as children:
        yield from children.map(_call, items, chunksize=_CHUNK)


def _inherit(function: Callable[[str], Any]) -> None:
    global _function  # noqa: PLW0603 one per process, set before anything is asked of it
    _function = function


def _call(item: str) -> Any:
    return _function(item)
