from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from builder.supply.signature import public_key, sign, verify
from builder.supply.signers import PublicKey, read_signers, write_signers
from ci.errors import SettingsError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = public_key(Ed25519PrivateKey.from_private_bytes(bytes(32)))
PUBLIC = public_key(KEY)
SPACE = "hpcwaas-image"


def test_a_file_with_everything_is_read() -> None:
    text = f"""
# comment
hpcwaas {PUBLIC.text} of the service

a@b,*@c namespaces="hpc*,!git",valid-after="20260101Z",Valid-Before="202612312359Z" {OTHER.text}
"""
    first, second = read_signers(text)
    assert (first.raw, first.comment, first.namespaces) == (PUBLIC.raw, "of the service", "")
    assert (second.raw, second.principals) == (OTHER.raw, "a@b,*@c")
    assert second.valid_after == datetime(2026, 1, 1, tzinfo=UTC)
    assert second.valid_before == datetime(2026, 12, 31, 23, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        ("", True),
        ('namespaces="hpcwaas-image"', True),
        ('namespaces="file,hpc*"', True),
        ('namespaces="file"', False),
        ('namespaces="*,!hpcwaas-image"', False),
        ('namespaces="hpcwaas?image"', True),
        ('valid-before="20200101"', False),
        ('valid-before="20990101Z"', True),
        ('valid-after="209901010000"', False),
        ('valid-after="20200101000000Z",namespaces="hpcwaas-image"', True),
    ],
)
def test_options_mean_what_they_mean_to_openssh(
    openssh_accepts, options: str, accepted: bool
) -> None:
    file = f"hpcwaas {options} {PUBLIC.text} comment\n".replace("  ", " ")
    text = sign(b"data", KEY, SPACE)
    assert openssh_accepts(b"data", text, file) is accepted
    if accepted:
        assert verify(b"data", text, read_signers(file), SPACE).raw == PUBLIC.raw
    else:
        with pytest.raises(SettingsError):
            verify(b"data", text, read_signers(file), SPACE)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("hpcwaas", "it is not: principals"),
        (f"hpcwaas cert-authority {PUBLIC.text}", "'cert-authority'"),
        (f"hpcwaas no-touch-required {PUBLIC.text}", "'no-touch-required'"),
        (f'hpcwaas namespaces="" {PUBLIC.text}', "has no value"),
        (f'hpcwaas namespaces="a",namespaces="b" {PUBLIC.text}', "doubled"),
        (f'hpcwaas namespaces="a {PUBLIC.text}', "not closed"),
        (f"hpcwaas namespaces=a {PUBLIC.text}", "not understood"),
        (f'hpcwaas valid-before="2026" {PUBLIC.text}', "is no time"),
        (f'hpcwaas valid-before="20261301" {PUBLIC.text}', "is no time"),
        ("hpcwaas ssh-rsa AAAAB3NzaC1yc2E=", "ssh-rsa keys are not supported"),
        ("hpcwaas ssh-ed25519 !!!!", "not base64"),
        ("hpcwaas ssh-ed25519 AAAA", "not an Ed25519 key"),
        (PUBLIC.text, "it is not: principals"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(line: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        read_signers(f"# one\nhpcwaas {OTHER.text}\n{line}\n", "/etc/signers")
    assert str(caught.value).startswith("/etc/signers:3: ")


def test_a_file_without_a_key_is_refused() -> None:
    with pytest.raises(SettingsError, match="names no key"):
        read_signers("# nobody\n")


@given(st.text(max_size=200))
def test_any_text_is_keys_or_an_error_that_says_where(text: str) -> None:
    with suppress(SettingsError):
        assert read_signers(text)


def test_what_a_site_gets_are_the_keys_that_count_now(openssh_accepts) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    old = PublicKey(OTHER.raw, valid_before=datetime(2026, 1, 1, tzinfo=UTC))
    text = write_signers([old, PUBLIC, PUBLIC], SPACE, now)
    assert [key.raw for key in read_signers(text)] == [PUBLIC.raw]
    assert openssh_accepts(b"data", sign(b"data", KEY, SPACE), text)
