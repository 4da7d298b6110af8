import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.spack.versions import Versions, order, read_versions

# In the order of Spack, which its own tests of versions say.
ASCENDING = [
    ["mydevelopmentnightmare", "system", "xsdk-0.2.0", "xsdk-0.3", "xyz.4", "1.1", "2", "8"],
    ["1.0", "2.0", "2.0.1", "2.0.1a", "9.0"],
    ["9.0", "stable", "trunk", "head", "master", "main", "develop", "develop.1", "develop.2"],
    ["1.mydevelopmentnightmare", "1.0", "1.1", "1.develop", "1.develop.1", "1.develop.2", "2.1"],
    ["0.5", "0.5.develop"],
    ["5.5p1", "5.5p2", "5.5p10", "5.6p1", "6.5p1"],
    ["10xyz", "10.1xyz"],
    ["10a2", "10b2"],
    ["1.0", "1.0a", "1.0aa"],
    ["10.0001", "10.0039"],
    ["4.999.9", "5.0"],
    ["20101121", "20101122"],
    ["1b.fc17", "1.fc17"],
    ["6.0-alpha", "6.0-alpha1", "6.0-beta1", "6.0-rc1", "6.0-rc2", "6.0", "6.0.1-rc1", "6.0.1"],
]


@pytest.mark.parametrize("versions", ASCENDING, ids=lambda versions: versions[0])
def test_order(versions: list[str]) -> None:
    keys = [order(version) for version in versions]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("first", "second"), [("10.0001", "10.1"), ("2.0", "2_0"), ("2-0", "2_0")])
def test_the_same_version(first: str, second: str) -> None:
    assert order(first) == order(second)


@pytest.mark.parametrize(
    ("wanted", "version", "allowed"),
    [
        ("1.2:1.4", "1.3", True),
        ("1.2:1.4", "1.2.5", True),
        ("1.2:1.4", "1.3.5-7", True),
        ("1.2:1.4", "1.4.2", True),
        ("1.2:1.4", "1.1", False),
        ("1.2:1.4", "1.5", False),
        ("1.2:1.4.0", "1.4.2", False),
        ("1.5.1:", "1.5", False),
        ("1.2.7:1.4", "1.2.8", True),
        ("1.2.7:1.4", "1.2.5", False),
        (":1.4", "0.9", True),
        (":", "develop", True),
        ("4.7", "4.7.3b2", True),
        ("4.7", "4.7b6", True),
        ("4.7", "4.70", False),
        ("4.9", "4", False),
        ("=4.7", "4.7.3", False),
        ("=4.7", "4.7", True),
        ("=2.0", "2_0", True),
        ("4.3,4.6,4.7", "4.6.5.2", True),
        ("4.2,4.3:4.7", "4.8.0", False),
        ("1.2:", "develop", True),
        ("develop", "develop", True),
        ("main", "develop", False),
        ("eflows4hpc", "eflows4hpc", True),
        ("eflows4hpc", "3.3", False),
        ("git.main", "3.3", True),
        ("git.main=3.2", "3.3", True),
        ("a" * 40, "3.3", True),
    ],
)
def test_what_a_constraint_allows(wanted: str, version: str, allowed: bool) -> None:
    assert read_versions(wanted).allows(version) is allowed


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("1.2b:1.7,5", "1.6:1.9,1", True),
        ("1,2,3,4,5", "3, 6:7", True),
        ("1, 2, 4, 6.5", "3, 6:7", True),
        ("1, 2, 4", "3, 6:7", False),
        ("1,2,3,4,5", "6:7", False),
        (":1.6", "1.6.5", True),
        ("1.2", "1.2.3", True),
        ("1.2", "=1.2.3", True),
        ("=1.2", "=1.2.3", False),
        ("=1.2", "1.3:", False),
        ("git.a", "git.b", False),
        ("git.a", "1.2", True),
    ],
)
def test_what_two_constraints_have_in_common(first: str, second: str, both: bool) -> None:
    assert read_versions(first).meets(read_versions(second)) is both
    assert read_versions(second).meets(read_versions(first)) is both


def test_no_constraint_allows_everything() -> None:
    assert Versions().allows("1.2")
    assert Versions().meets(read_versions("=3"))
    assert Versions().allows_any(["1"])
    assert not read_versions("2").allows_any(["1", "3"])


@pytest.mark.parametrize(("text", "column"), [("1.4:1.2", 1), ("1,3:2", 3), ("1,,2", 3), ("", 1)])
def test_what_allows_nothing_is_refused(text: str, column: int) -> None:
    with pytest.raises(EntryError) as caught:
        read_versions(text)
    assert caught.value.column == column


VERSIONS = st.from_regex(
    r"([0-9]{1,3}|[a-z]{1,7}|develop|rc)([._-]?([0-9]{1,3}|[a-z]{1,3}|rc)){0,3}", fullmatch=True
)


@given(VERSIONS, VERSIONS)
def test_ranges_agree_with_the_order(low: str, version: str) -> None:
    assert read_versions(f"{low}:").allows(version) is (order(low) <= order(version))
    assert read_versions(low).allows(low)
    assert read_versions(f"={low}").allows(version) is (order(low) == order(version))
    assert read_versions(f":{low}").allows(low)


@given(VERSIONS, VERSIONS, VERSIONS)
def test_what_lies_in_both_shows_that_they_meet(first: str, second: str, version: str) -> None:
    for one, other in ((first, second), (f"{first}:", f":{second}"), (f"={first}", f"{second}:")):
        mine, theirs = read_versions(one), read_versions(other)
        if mine.allows(version) and theirs.allows(version):
            assert mine.meets(theirs)


@given(st.text())
def test_any_text_has_an_order_and_is_a_constraint_or_an_entry_error(text: str) -> None:
    assert order(text) == order(text)
    try:
        found = read_versions(text)
    except EntryError as error:
        assert 1 <= error.column <= len(text) + 1  # noqa: PT017 either way is right
    else:
        assert found.allows("1.2") in (True, False)


def test_endless_digits_are_compared() -> None:
    assert order("9" * 5000) > order("8")
