"""What a request comes to: which image answers it, or why none does. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from builder.compatibility import Verdict, distance, judge
from builder.recipe import Recipe
from builder.store import Image
from ci.target import Target

T = TypeVar("T")

_NONE = "no image of this software yet"


def fit(verdicts: Iterable[Verdict]) -> bool:
    """Say whether every field fits."""
    return all(verdict.fits for verdict in verdicts)


@dataclass(frozen=True, slots=True)
class Considered:
    """An image of the same software, and how its target compares with the one asked for."""

    image: Image
    verdicts: tuple[Verdict, ...]

    @property
    def fits(self) -> bool:
        """Whether the image may answer."""
        return fit(self.verdicts)

    @property
    def obstacles(self) -> list[str]:
        """The sentences of the fields that stand against it."""
        return [verdict.why for verdict in self.verdicts if not verdict.fits]


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """What a request comes to.

    ``key``, ``recipe``, ``target``: what would be built, by what, for what; ``wanted`` is the
    target with what the site has of glibc and kernel; ``image`` answers the request, if one does;
    ``considered`` are all images of the same software, those that fit and the closest first;
    ``inputs`` is the document whose hash is the software key ``software``.
    """

    key: str
    software: str
    inputs: Mapping[str, Any] = field(hash=False)
    recipe: Recipe
    target: Target
    wanted: Target
    image: Image | None = None
    considered: tuple[Considered, ...] = ()

    @property
    def reuse(self) -> bool:
        """Whether nothing has to be built."""
        return self.image is not None

    @property
    def why(self) -> str:
        """The decision in a line."""
        if self.image is None:
            return self._why_not()
        made = f"built {self.image.created[:10]} as {self.image.digest[:19]}…"
        if self.image.key == self.key:
            return made
        return f"{made} for {self.image.target.microarchitecture}, which runs there"

    def _why_not(self) -> str:
        exact = next((c for c in self.considered if c.image.key == self.key), None)
        if exact:
            return f"the image of this content key cannot run there: {exact.obstacles[0]}"
        if not self.considered:
            return _NONE
        closest = self.considered[0]
        count = len(self.considered)
        kept = (
            f"{count} images of this software do"
            if count > 1
            else "the image of this software does"
        )
        return f"{kept} not fit; of the closest: {closest.obstacles[0]}"


def ranked(
    wanted: Target, candidates: Iterable[T], target_of: Callable[[T], Target]
) -> list[tuple[T, tuple[Verdict, ...]]]:
    """Return what was made for targets, each with its verdicts: what fits first, closest first."""
    judged = [(one, judge(target_of(one), wanted)) for one in candidates]
    return sorted(judged, key=lambda pair: (not fit(pair[1]), distance(target_of(pair[0]), wanted)))


def choose(
    wanted: Target, candidates: Iterable[Image]
) -> tuple[Image | None, tuple[Considered, ...]]:
    """Return the closest image that fits, and all with their verdicts."""
    ordered = sorted(candidates, key=lambda image: (image.key, image.scope))
    considered = tuple(
        Considered(image, verdicts)
        for image, verdicts in ranked(wanted, ordered, lambda image: image.target)
    )
    return (considered[0].image if considered and considered[0].fits else None), considered


def differences(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """Say input by input what makes two documents of inputs (``content_key.inputs``) differ."""
    mine, theirs = (json.loads(json.dumps(document)) for document in (mine, theirs))
    for name in dict.fromkeys([*mine, *theirs]):
        one, other = mine.get(name), theirs.get(name)
        if one == other:
            continue
        if name in _WORDS:
            yield _WORDS[name]
        elif isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from (f"{name}: {told}" for told in _parts(one, other))
        else:
            yield f"{name}: {_shown(one)}, theirs {_shown(other)}"


def _parts(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*one, *other}):
        if key not in other:
            yield f"{key} is new"
        elif key not in one:
            yield f"{key} is gone"
        elif one[key] != other[key]:
            both = isinstance(one[key], str) and len(one[key]) == _SHA256_LENGTH
            yield (
                f"{key} changed"
                if both
                else f"{key}: {_shown(one[key])}, theirs {_shown(other[key])}"
            )


_SHA256_LENGTH = 64
_WORDS = {
    "form": "content keys are made differently by this program",
    "recipe_form": "recipes are written differently by this program",
    "base": "the base image is another",
    "tests": "the tests of the image changed",
}
_LONGEST = 60


def _shown(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return (text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…") or "nothing"
