"""Which image answers, and what differs between inputs, as people read it."""

import json
from dataclasses import replace
from pathlib import Path

from builder.plan import choose, differences
from builder.store import Image
from ci.target import Target

ZEN3 = Target(microarchitecture="zen3", glibc="2.36", kernel="3.2.0")


def image(key: str, target: Target) -> Image:
    return Image(
        key=key * 64,
        digest=f"sha256:{key * 64}",
        oci_digest="",
        base_digest="",
        workflow="w",
        step="s",
        target=target,
        environment={},
        created="2026-01-01T00:00:00.000+00:00",
        size=1,
        duration=1.0,
        builder="test",
        folder=Path("/nowhere"),
    )


def test_the_closest_that_fits_answers_and_the_others_say_why_not():
    candidates = [
        image("a", replace(ZEN3, microarchitecture="x86_64")),
        image("b", replace(ZEN3, microarchitecture="zen2")),
        image("c", replace(ZEN3, microarchitecture="icelake")),
    ]
    chosen, considered = choose(ZEN3, candidates)
    assert chosen == candidates[1]
    assert [c.image.key[0] for c in considered] == ["b", "a", "c"]
    assert considered[0].obstacles == []
    assert "icelake" in considered[2].obstacles[0]
    assert choose(ZEN3, candidates[2:])[0] is None
    assert choose(ZEN3, []) == (None, ())


def test_inputs_that_were_read_back_do_not_differ():
    mine = {"tests": [{"words": ("python3", "--version")}], "sources": {"a": "0" * 64}}
    assert list(differences(mine, json.loads(json.dumps(mine)))) == []


def test_what_differs_is_said_input_by_input():
    mine = {
        "base": "sha256:1",
        "environment": {"apt": ["make", "gcc"], "pip": []},
        "sources": {"step/a": "0" * 64, "step/new": "1" * 64},
    }
    theirs = {
        "base": "sha256:2",
        "environment": {"apt": ["make"], "pip": []},
        "sources": {"step/a": "2" * 64, "step/old": "1" * 64},
    }
    assert list(differences(mine, theirs)) == [
        "the base image is another",
        "environment: apt: make, gcc, theirs make",
        "sources: step/a changed",
        "sources: step/new is new",
        "sources: step/old is gone",
    ]
