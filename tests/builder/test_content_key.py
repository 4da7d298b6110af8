"""Keys: a document of inputs, its hash, and the hash of that with target and recipe."""

from hypothesis import given
from hypothesis import strategies as st

from builder.content_key import content_key, digests, inputs, software_key
from ci.software.environment import SoftwareEnvironment
from ci.target import Target
from ci.workflow_settings import ImageTest

ENVIRONMENT = SoftwareEnvironment(apt=("make",))


def document(**fields):
    given = {
        "step": "a",
        "environment": ENVIRONMENT,
        "sources": {"step/x": "0" * 64},
        "base_digest": "sha256:" + "1" * 64,
        "recipe_form": "f",
    }
    return inputs(**given | fields)


def test_keys_stay():
    """Keys are in stores and on sites: a change here means that everything is built anew."""
    software = software_key(document())
    assert software == "f38ef5fde0f32448d35a6ec0759ac3bc8d3d6633c39ca9a9df3f12019360e6ec"
    key = content_key(software, Target(), "FROM base")
    assert key == "ca630ba005a385fef818d711d0f6b9830a7e53855aa054af791c0cea00d15c8e"


def test_each_input_counts():
    keys = [
        software_key(document(**change))
        for change in (
            {},
            {"step": "b"},
            {"environment": SoftwareEnvironment(apt=("cmake",))},
            {"environment": SoftwareEnvironment(pip=("make",))},
            {"sources": {"step/x": "1" * 64}},
            {"sources": {"step/y": "0" * 64}},
            {"base_digest": "sha256:" + "2" * 64},
            {"recipe_form": "g"},
            {"tests": (ImageTest("import", ("six",)),)},
        )
    ]
    assert len(set(keys)) == len(keys)


def test_target_and_recipe_count():
    keys = {
        content_key(software, target, recipe)
        for software in "ab"
        for target in (Target(), Target(mpi="openmpi@4"))
        for recipe in ("FROM base", "FROM base\n")
    }
    assert len(keys) == 8


@given(st.dictionaries(st.text(), st.text()))
def test_the_order_of_sources_does_not_count(sources):
    backwards = dict(reversed(sources.items()))
    assert software_key(document(sources=sources)) == software_key(document(sources=backwards))


def test_digests_are_of_contents():
    assert digests({"a": b""}) == {
        "a": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    }
