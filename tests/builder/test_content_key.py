from dataclasses import replace

from builder.content_key import content_key, digests
from ci.software.environment import SoftwareEnvironment
from ci.target import Target

ENVIRONMENT = SoftwareEnvironment(apt=("hello",))
TARGET = Target()
SOURCES = digests({"step/a": b"1", "step/b": b"2"})


def key(
    environment: SoftwareEnvironment = ENVIRONMENT,
    target: Target = TARGET,
    sources: dict[str, str] = SOURCES,
    base: str = "sha256:0",
    recipe: str = "FROM base\n",
) -> str:
    return content_key(environment, target, sources, base, recipe)


def test_the_key_is_a_sha256_that_stays() -> None:
    """A changed key rebuilds every image there is: change `_FORM` and this on purpose only."""
    assert key() == "cd623b4aa52f2d438a1f2370b0b3b5b6e39f089bb442e414e914561b2e8d85b2"


def test_the_order_of_sources_does_not_matter() -> None:
    assert key(sources=dict(reversed(SOURCES.items()))) == key()


def test_everything_that_determines_an_image_is_in_it() -> None:
    others = {
        key(environment=replace(ENVIRONMENT, apt=("hello", "grace"))),
        key(environment=replace(ENVIRONMENT, apt=(), pip=("hello",))),
        key(target=replace(TARGET, microarchitecture="zen3")),
        key(target=replace(TARGET, mpi="openmpi@4")),
        key(sources=digests({"step/a": b"1", "step/b": b"3"})),
        key(sources=digests({"step/a": b"1", "step/c": b"2"})),
        key(base="sha256:1"),
        key(recipe="FROM base \n"),
    }
    assert len(others | {key()}) == 9
