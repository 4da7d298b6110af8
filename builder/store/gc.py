"""Which images may go: by last use and by space, and never one that is in use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from builder.store.image import MAIN, Image
from builder.store.store import ImageStore

_DAY = 86400.0  # seconds

Doomed = tuple[Image, str]  # and why, in a few words


def plan_gc(
    images: Iterable[Image],
    *,
    now: float,
    keep_days: float,
    max_bytes: int,
    in_use: Collection[str],
    open_scopes: Collection[str] | None = None,
) -> tuple[Doomed, ...]:
    """Return the images to remove, in this order, and why.

    First those of pull requests that are not in ``open_scopes`` (if given), then those whose last
    use is more than ``keep_days`` ago, then, while the rest takes more than ``max_bytes``, the
    one whose last use is longest ago. ``now`` is Unix time. ``in_use`` has digests and keys of
    images that stay whatever their age and size; they count as space.
    """
    left = list(images)
    doomed: list[Doomed] = []
    for image in sorted(left, key=_order):
        if image.key in in_use or image.digest in in_use:
            continue
        reason = _reason(image, now, keep_days, open_scopes)
        if reason:
            doomed.append((image, reason))
    doomed.sort(key=lambda entry: not _closed(entry[0], open_scopes))
    gone = {_name(image) for image, _ in doomed}
    left = [image for image in left if _name(image) not in gone]
    return (*doomed, *_too_many(left, max_bytes, in_use))


def collect(
    store: ImageStore,
    *,
    now: float,
    keep_days: float,
    max_bytes: int,
    in_use: Collection[str],
    open_scopes: Collection[str] | None = None,
) -> tuple[Doomed, ...]:
    """Remove what ``plan_gc`` says, and failed builds' logs as old; return what was removed.

    An image that was taken while this ran stays. What dead processes left goes when a store is
    opened.
    """
    images = store.list()
    planned = plan_gc(
        images,
        now=now,
        keep_days=keep_days,
        max_bytes=max_bytes,
        in_use=in_use,
        open_scopes=open_scopes,
    )
    removed = tuple(
        (image, reason)
        for image, reason in planned
        if store.remove(image.key, image.scope, unused_since=image.last_used)
    )
    store.trim_logs(now - keep_days * _DAY)
    return removed


def _reason(image: Image, now: float, keep_days: float, open_scopes: Collection[str] | None) -> str:
    if _closed(image, open_scopes):
        return f"pull request {image.scope.removeprefix('pull-')} is closed"
    days = (now - image.last_used) / _DAY
    return f"not used for {days:.0f} days" if days > keep_days else ""


def _closed(image: Image, open_scopes: Collection[str] | None) -> bool:
    return open_scopes is not None and image.scope != MAIN and image.scope not in open_scopes


def _too_many(images: list[Image], max_bytes: int, in_use: Collection[str]) -> Iterator[Doomed]:
    used = sum(image.size for image in images)
    for image in sorted(images, key=_order):
        if used <= max_bytes:
            return
        if image.key not in in_use and image.digest not in in_use:
            yield image, f"{used / 1e9:.1f} GB of {max_bytes / 1e9:.1f} GB are taken"
            used -= image.size


def _order(image: Image) -> tuple[float, str, str]:
    return (image.last_used, image.key, image.scope)


def _name(image: Image) -> tuple[str, str]:
    return (image.scope, image.key)
