from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from builder.supply import signature
from builder.supply.signers import PublicKey, write_signers
from ci.errors import SettingsError

SPACE = "hpcwaas-image"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = signature.public_key(KEY)
DATA = b"what is signed\n"


def ssh_keygen(*argv: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *map(str, argv)], input=stdin, capture_output=True)


def write_key(path: Path) -> Ed25519PrivateKey:
    """Make a key and write it where ``ssh-keygen`` takes it from."""
    text = signature.new_key()
    path.touch(0o600)
    path.write_text(text)
    return signature.parse_key(text)


def test_openssh_accepts_what_is_signed_here(openssh_accepts) -> None:
    text = signature.sign(DATA, KEY, SPACE)
    signers = write_signers([PUBLIC], SPACE, datetime.now(UTC))
    assert openssh_accepts(DATA, text, signers)
    assert not openssh_accepts(DATA + b"x", text, signers)
    assert signature.verify(DATA, text, [PUBLIC], SPACE) == PUBLIC


@pytest.mark.parametrize("hashed", ["sha512", "sha256"])
def test_what_openssh_signs_is_accepted_here(tmp_path: Path, hashed: str) -> None:
    key = write_key(tmp_path / "key")
    public = signature.public_key(key)
    file = tmp_path / "data"
    file.write_bytes(DATA)
    argv = ("-Y", "sign", "-f", tmp_path / "key", "-n", SPACE, "-O", f"hashalg={hashed}")
    done = ssh_keygen(*argv, file)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "data.sig").read_text()
    assert signature.verify(DATA, text, [PUBLIC, public], SPACE) == public
    if hashed == "sha512":  # Ed25519 is deterministic: both make the same text
        assert signature.sign(DATA, key, SPACE) == text


def test_a_key_that_openssh_made_is_used(tmp_path: Path) -> None:
    assert not ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key").returncode
    public = signature.public_key(signature.parse_key((tmp_path / "key").read_text()))
    assert (tmp_path / "key.pub").read_text().startswith(public.text)
    shown = ssh_keygen("-l", "-f", tmp_path / "key.pub").stdout.decode()
    assert public.fingerprint in shown


def test_any_flipped_byte_of_the_signature_is_refused() -> None:
    raw = signature.sign(DATA, KEY, SPACE).encode()
    for position in range(len(raw)):
        for bit in (0x01, 0x20):
            flipped = bytearray(raw)
            flipped[position] ^= bit
            with pytest.raises(SettingsError):
                signature.verify(DATA, flipped.decode("latin-1"), [PUBLIC], SPACE)


@given(st.binary(min_size=1, max_size=300), st.data())
def test_any_flipped_bit_of_the_data_is_refused(data: bytes, draw: st.DataObject) -> None:
    text = signature.sign(data, KEY, SPACE)
    assert signature.verify(data, text, [PUBLIC], SPACE) == PUBLIC
    bit = draw.draw(st.integers(0, len(data) * 8 - 1))
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SettingsError, match="not one of this content"):
        signature.verify(bytes(flipped), text, [PUBLIC], SPACE)


@given(st.text(max_size=500) | st.binary(max_size=300).map(signature._armored))
def test_any_other_text_is_refused_as_no_signature(text: str) -> None:
    with pytest.raises(SettingsError, match="not an OpenSSH signature"):
        signature.verify(DATA, text, [PUBLIC], SPACE)


@pytest.mark.parametrize("change", [" ", "\n", "\r\n", "x"])
def test_a_signature_has_one_text_only(change: str) -> None:
    text = signature.sign(DATA, KEY, SPACE)
    for wrong in (text + change, change + text, text.replace("\n", change, 1), text[:-1]):
        if wrong != text:
            with pytest.raises(SettingsError, match="as ssh-keygen writes it"):
                signature.verify(DATA, wrong, [PUBLIC], SPACE)


def test_a_signature_for_another_purpose_is_refused() -> None:
    text = signature.sign(DATA, KEY, "file")
    with pytest.raises(SettingsError, match="is not for hpcwaas-image"):
        signature.verify(DATA, text, [PUBLIC], SPACE)


def test_a_stranger_is_named_by_the_fingerprint() -> None:
    text = signature.sign(DATA, Ed25519PrivateKey.generate(), SPACE)
    with pytest.raises(SettingsError, match="SHA256:"):
        signature.verify(DATA, text, [PUBLIC], SPACE)


def test_a_key_counts_only_while_it_is_valid_and_for_what_it_may() -> None:
    text = signature.sign(DATA, KEY, SPACE)
    end = datetime(2026, 1, 1, tzinfo=UTC)
    before, after = datetime(2025, 12, 31, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    limited = PublicKey(PUBLIC.raw, valid_before=end)
    assert signature.verify(DATA, text, [limited], SPACE, at=before) == limited
    with pytest.raises(SettingsError, match="not valid after 2026-01-01"):
        signature.verify(DATA, text, [limited], SPACE, at=after)
    later = PublicKey(PUBLIC.raw, valid_after=end)
    with pytest.raises(SettingsError, match="not valid before 2026-01-01"):
        signature.verify(DATA, text, [later], SPACE, at=before)
    assert signature.verify(DATA, text, [later, limited], SPACE, at=before) == limited
    with pytest.raises(SettingsError, match="may not sign hpcwaas-image"):
        signature.verify(DATA, text, [PublicKey(PUBLIC.raw, namespaces="file,git")], SPACE)


def test_every_new_key_is_another_one() -> None:
    made = {signature.public_key(signature.parse_key(signature.new_key())).raw for _ in range(3)}
    assert len(made) == 3


def test_what_is_no_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    for text in ("", "no key", signature.new_key()[:-60], "\N{SNOWMAN}"):
        with pytest.raises(SettingsError, match="is not a private SSH key"):
            signature.parse_key(text)
    ssh_keygen("-q", "-t", "ecdsa", "-N", "", "-f", path)
    with pytest.raises(SettingsError, match="is not an Ed25519 key"):
        signature.parse_key(path.read_text())
    path.unlink()
    ssh_keygen("-q", "-t", "ed25519", "-N", "secret", "-f", path)
    with pytest.raises(SettingsError, match="without a passphrase"):
        signature.parse_key(path.read_text())
