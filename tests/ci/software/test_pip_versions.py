import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from ci.software.pip_versions import can_be_met


@pytest.mark.parametrize(
    "text",
    [
        "",
        "==1.0",
        ">=1,<2",
        ">=1,<=1",
        ">1,<1.0.1",
        ">=1,<2,!=1.0.*",
        ">=1,<2,!=1,!=1.5",
        "~=1.4.2,!=1.4.2",
        "==1.*,>1.5",
        "<1.0",
        ">1.0a1,<1.0",  # early versions are not judged
        "===x,==1.0",
        ">=1!2,<2",
    ],
)
def test_what_some_version_meets(text: str) -> None:
    assert can_be_met(SpecifierSet(text))


@pytest.mark.parametrize(
    "text",
    [
        "==1.0,==2.0",
        ">=2,<1",
        ">=2,<2",
        ">1,<1",
        ">=1,<=1,!=1",
        ">=1,<2,!=1.*",
        "~=1.4,>=2",
        "==1.2.*,==1.3.*",
        "==1.2.*,>1.3",
    ],
)
def test_what_no_version_meets(text: str) -> None:
    assert not can_be_met(SpecifierSet(text))


OPERATORS = st.sampled_from(["==", "!=", ">=", "<=", ">", "<"])
VERSIONS = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(lambda p: ".".join(map(str, p)))
WANTED = st.lists(st.tuples(OPERATORS, VERSIONS).map("".join), max_size=4).map(",".join)


@given(WANTED, st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_nothing_that_a_version_meets_is_refused(wanted: str, parts: list[int]) -> None:
    specifiers = SpecifierSet(wanted)
    if specifiers.contains(".".join(map(str, parts))):
        assert can_be_met(specifiers)
