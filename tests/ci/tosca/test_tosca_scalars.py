import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.tosca.scalars import SIMPLE, comparable, has_form


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        ("scalar-unit.size", "999 kB", "1 MB"),
        ("scalar-unit.size", "1 MB", "1 MiB"),
        ("scalar-unit.size", "1MB", "1.5 mb"),
        ("scalar-unit.time", "59 m", "1 h"),
        ("scalar-unit.time", "999 us", "1 ms"),
        ("scalar-unit.frequency", "0.1 GHz", "200 MHz"),
        ("scalar-unit.bitrate", "1 Mbps", "1 Mibps"),
        ("version", "1.9", "1.10"),
        ("version", "1.0-rc1", "1.0.1"),
        ("timestamp", "2026-01-31", "2026-01-31T00:00:01Z"),
        ("integer", 2, 10),
        ("string", "a", "b"),
    ],
)
def test_values_compare_by_what_they_mean(kind: str, least, most) -> None:
    assert comparable(least, kind) < comparable(most, kind)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("scalar-unit.size", "10"),
        ("scalar-unit.size", 10),
        ("scalar-unit.size", "10 parsecs"),
        ("scalar-unit.time", "1:00"),
        ("version", "latest"),
        ("timestamp", "2026-13-01"),
        ("timestamp", "yesterday"),
        ("range", [1]),
        ("range", [2, 1]),
        ("range", "1-2"),
        ("range", [1, "x"]),
    ],
)
def test_what_has_not_the_form_of_its_type(kind: str, value) -> None:
    assert not has_form(value, kind)


@pytest.mark.parametrize("kind", sorted(SIMPLE))
@given(text=st.text(max_size=40) | st.from_regex(r"[0-9.:+TZ -]{0,30}", fullmatch=True))
def test_any_text_has_a_form_or_not(kind: str, text: str) -> None:
    assert has_form(text, kind) in {True, False}
