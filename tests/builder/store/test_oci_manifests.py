import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_images import make_image

from builder.store import oci
from builder.store.image import parse_image
from builder.store.oci import Blob, blob_of

KEY = "a" * 64
ONE, TWO = blob_of(b"one"), blob_of(b"two")
TITLES = st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5}){0,2}", fullmatch=True)


def test_an_images_manifest_is_read_as_it_was_written() -> None:
    content = oci.image_manifest(make_image(KEY), ONE, TWO, ONE.digest)
    assert oci.read_image_manifest(content) == oci.ImageManifest(ONE, TWO, ONE.digest)
    assert content == oci.image_manifest(make_image(KEY), ONE, TWO, ONE.digest)


@given(st.dictionaries(TITLES, st.sampled_from([ONE, TWO]), max_size=5))
def test_records_are_read_as_they_were_written(files: dict[str, Blob]) -> None:
    content = oci.records_manifest(KEY, files)
    document = json.loads(content)
    assert document["schemaVersion"] == 2
    assert len(document["layers"]) >= 1
    crossed = any(one.startswith(f"{other}/") for one in files for other in files)
    if not crossed:
        assert oci.read_records_manifest(content) == files


@pytest.mark.parametrize(
    "title",
    [
        "../x",
        "/etc/passwd",
        "a/../b",
        "a//b",
        "",
        ".",
        "a/",
        "a\nb",
        "image.sif",
        "metadata.json",
        "metadata.json/x",
        "x" * 300,
        7,
        None,
    ],
)
def test_records_stay_in_their_folder(title: object) -> None:
    document = json.loads(oci.records_manifest(KEY, {"good": ONE}))
    document["layers"][0]["annotations"][oci.TITLE] = title
    with pytest.raises(ValueError, match="name"):
        oci.read_records_manifest(json.dumps(document).encode())


def test_records_that_are_in_each_others_way_are_refused() -> None:
    content = oci.records_manifest(KEY, {"a": ONE, "a/b": TWO})
    with pytest.raises(ValueError, match="in a file"):
        oci.read_records_manifest(content)
    document = json.loads(oci.records_manifest(KEY, {"a": ONE}))
    document["layers"] *= 2
    with pytest.raises(ValueError, match="two files"):
        oci.read_records_manifest(json.dumps(document).encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
PLACES = st.sampled_from(
    [
        ("config",),
        ("layers",),
        ("annotations",),
        ("artifactType",),
        ("config", "digest"),
        ("config", "size"),
        ("layers", 0),
        ("layers", 0, "digest"),
        ("layers", 0, "size"),
        ("layers", 0, "annotations"),
        ("annotations", oci.RECORDS),
    ]
)


@given(PLACES, JSON)
def test_any_wrong_manifest_is_refused_or_read_but_never_worse(
    place: tuple[str | int, ...], value: object
) -> None:
    for content, read in (
        (oci.image_manifest(make_image(KEY), ONE, TWO, ONE.digest), oci.read_image_manifest),
        (oci.records_manifest(KEY, {"a": ONE}), oci.read_records_manifest),
    ):
        document = json.loads(content)
        inner = document
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
        with suppress(ValueError):
            read(json.dumps(document).encode())


@given(st.binary(max_size=30))
def test_any_bytes_are_refused(content: bytes) -> None:
    for read in (oci.read_image_manifest, oci.read_records_manifest, parse_image):
        with pytest.raises(ValueError, match=r"."):
            read(content)


@given(st.sampled_from(sorted(make_image(KEY).to_dict())), JSON)
def test_metadata_of_a_wrong_form_are_refused_or_read(name: str, value: object) -> None:
    document = make_image(KEY).to_dict() | {name: value, "later": 1}
    try:
        image = parse_image(json.dumps(document))
    except ValueError:
        return
    assert isinstance(image.size, int)
    assert len(image.key) == 64
