"""Every ordered pair of archspec's graph, against a definition that is written here anew.

The definition reads archspec's JSON file itself, not archspec's objects: an image for ``a`` may run
on ``b`` if ``a`` is ``b`` or can be reached from it along "from". That every instruction set which
``a`` uses is one of ``b``'s must follow, and is looked at as well.
"""

import json
from collections import deque
from importlib import resources
from typing import Any

import pytest

from builder.compatibility import distance, runs_on
from builder.targets import FAMILIES
from ci.target import Target

DOCUMENT = json.loads(
    (resources.files("archspec") / "json" / "cpu" / "microarchitectures.json").read_text("utf-8")
)
GRAPH: dict[str, dict[str, Any]] = DOCUMENT["microarchitectures"]
ALIASES: dict[str, dict[str, Any]] = DOCUMENT["feature_aliases"]
PLATFORMS = {family: platform for platform, family in FAMILIES.items()}


def reachable(name: str) -> set[str]:
    """The microarchitecture and all that it descends from."""
    found, waiting = {name}, deque([name])
    while waiting:
        for parent in GRAPH[waiting.popleft()]["from"]:
            if parent not in found:
                found.add(parent)
                waiting.append(parent)
    return found


CLOSURE = {name: reachable(name) for name in GRAPH}


def root(name: str) -> str:
    (found,) = [above for above in CLOSURE[name] if not GRAPH[above]["from"]]
    return found


def has(name: str, feature: str) -> bool:
    features = set(GRAPH[name]["features"])
    alias = ALIASES.get(feature, {})
    return feature in features or bool(features & set(alias.get("any_of", [])))


def target_of(name: str) -> Target:
    return Target(platform=PLATFORMS.get(root(name), "linux/other"), microarchitecture=name)


PAIRS = [(image, site) for image in sorted(GRAPH) for site in sorted(GRAPH)]
SAFE = {
    (image, site)
    for image, site in PAIRS
    if image in CLOSURE[site] and all(has(site, f) for f in GRAPH[image]["features"])
}


@pytest.fixture(scope="module")
def allowed() -> set[tuple[str, str]]:
    return {(i, s) for i, s in PAIRS if runs_on(target_of(i), target_of(s))}


def test_no_pair_is_reused_that_is_not_safe(allowed: set[tuple[str, str]]) -> None:
    assert allowed - SAFE == set()


def test_no_pair_that_is_safe_is_refused(allowed: set[tuple[str, str]]) -> None:
    assert SAFE - allowed == set()
    assert len(PAIRS) == len(GRAPH) ** 2
    assert len(allowed) > 2 * len(GRAPH)  # more than itself and its generic label
    print(f"{len(PAIRS)} ordered pairs, {len(allowed)} run, {len(GRAPH)} of them are equal")


def test_of_two_ancestors_the_younger_is_closer() -> None:
    for site in GRAPH:
        for image in CLOSURE[site]:
            for older in CLOSURE[image] - {image}:
                near, far = (distance(target_of(name), target_of(site)) for name in (image, older))
                assert near < far, f"{image} must be closer to {site} than {older}"
