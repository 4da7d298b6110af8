from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from ci.errors import EntryError
from hooks.deployments.plan import ImageFile, Layout, Present, Release, plan_deployment, steps_of

A, B, COMMIT = "a" * 64, "b" * 64, "c" * 40
PLACES = Layout(PurePosixPath("/deploy"))
RELEASE = Release(
    "flow",
    COMMIT,
    Path("/x"),
    {
        "s1": ImageFile(Path("a"), A, 10),
        "s2": ImageFile(Path("b"), B, 20),
        "s3": ImageFile(Path("a"), A, 10),
    },
)
WHOLE = Present(
    {A: 10, B: 20}, True, {"steps": steps_of(RELEASE, PLACES), "commit": COMMIT}, COMMIT
)


def test_an_empty_site_needs_everything_and_a_shared_image_once() -> None:
    plan = plan_deployment(RELEASE, Present(), PLACES)
    assert [image.sha256 for image in plan.upload] == [A, B]
    assert (plan.sources, plan.manifest, plan.activate) == (True, True, True)
    assert plan.lines()[0] == "copy image aaaaaaaaaaaa (0.0 MB)"


def test_a_site_that_has_all_needs_nothing() -> None:
    plan = plan_deployment(RELEASE, WHOLE, PLACES)
    assert plan.done
    assert plan.lines() == ["nothing to do"]


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (replace(WHOLE, images={A: 10}), ["copy image"]),
        (replace(WHOLE, images={A: 9, B: 20}), ["copy image"]),
        (replace(WHOLE, sources=False), ["copy the workflow's files", "write the manifest"]),
        (replace(WHOLE, manifest=None), ["write the manifest"]),
        (replace(WHOLE, manifest={"steps": {}}), ["write the manifest"]),
        (replace(WHOLE, current="d" * 40), ["make it the current version"]),
    ],
)
def test_only_what_is_missing_is_done(present: Present, expected: list[str]) -> None:
    lines = plan_deployment(RELEASE, present, PLACES).lines()
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))


def test_changed_details_are_written() -> None:
    release = replace(RELEASE, details={"title": "new"})
    assert plan_deployment(release, WHOLE, PLACES).manifest


@pytest.mark.parametrize(
    ("workflow", "commit"),
    [("../x", COMMIT), ("", COMMIT), (".x", COMMIT), ("a/b", COMMIT), ("x", "main"), ("x", "ccc")],
)
def test_names_that_could_leave_their_folder_are_refused(workflow: str, commit: str) -> None:
    with pytest.raises(EntryError):
        Release(workflow, commit, Path("/x"), {})


def test_an_image_needs_a_whole_digest() -> None:
    with pytest.raises(EntryError, match="SHA-256"):
        Release("x", COMMIT, Path("/x"), {"s": ImageFile(Path("a"), "abc", 1)})
