import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError, SettingsError, SiteError
from ci.git.fetch_errors import fetch_error

URL = "https://example.org/o/r.git"


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("fatal: write error: No space left on device", SettingsError, "cannot be stored"),
        ("error: index-pack died of signal 25\nfatal: index-pack failed", EntryError, "more than"),
        ("fatal: fetch-pack: invalid index-pack output", EntryError, "more than"),
        (
            "fatal: pack has bad object at offset 12: inflate returned 1",
            EntryError,
            "checks refuse",
        ),
        ("error: RPC failed\nfatal: pack has bad object at offset 12", SiteError, "broke off"),
        ("fatal: early EOF\nfatal: index-pack failed", SiteError, "broke off"),
        (
            "fatal: unable to access 'x': server certificate verification failed. CAfile: none",
            SiteError,
            "not trusted",
        ),
        ("remote: fatal: Authentication failed", SiteError, "cannot be reached"),
        ("", SiteError, "cannot be reached"),
    ],
)
def test_who_must_act(said: str, kind: type[Exception], words: str) -> None:
    error = fetch_error(URL, said.encode())
    assert isinstance(error, kind)
    assert words in str(error)


@given(st.text(), st.binary())
def test_nothing_of_what_was_said_is_repeated(said: str, raw: bytes) -> None:
    sentence = f"fatal: Authentication failed {said}\nfatal: {said} fsck error in\n".encode() + raw
    known = {str(fetch_error(URL, line)) for line in (b"fatal: Authentication failed", b"")}
    assert str(fetch_error(URL, sentence)) in known | {
        str(fetch_error(URL, b"error: fsck error in"))
    }
