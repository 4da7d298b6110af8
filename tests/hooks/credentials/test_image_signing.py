from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from builder.supply.signature import new_key, parse_key, public_key, sign, verify
from builder.supply.signers import PublicKey, read_signers_file
from ci.errors import SettingsError
from hooks import config, home, image_service
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.image_signing import NAME, ImageSigning

SPACE = "hpcwaas-image"
BASE = "oci-layout:///nowhere@sha256:" + "0" * 64


def signing_in(folder: Path) -> ImageSigning:
    store = EncryptedFiles.init(folder / "secrets")
    return ImageSigning(store, folder / "allowed_signers", folder / "secrets" / ".lock")


@pytest.fixture
def signing(tmp_path: Path) -> ImageSigning:
    made = signing_in(tmp_path)
    made.make()
    return made


def public_of(signing: ImageSigning) -> PublicKey:
    return public_key(parse_key(signing.read()))


def signers(folder: Path) -> list[bytes]:
    return [key.raw for key in read_signers_file(folder / "allowed_signers")]


def test_the_key_is_made_once_and_what_it_signs_holds(
    signing: ImageSigning, tmp_path: Path
) -> None:
    text, before = signing.read(), (tmp_path / "allowed_signers").read_bytes()
    signing.make()
    assert (signing.read(), (tmp_path / "allowed_signers").read_bytes()) == (text, before)
    allowed = read_signers_file(tmp_path / "allowed_signers")
    assert verify(b"x", sign(b"x", parse_key(text), SPACE), allowed, SPACE) == allowed[0]
    with pytest.raises(SettingsError, match="may not sign file"):
        verify(b"x", sign(b"x", parse_key(text), "file"), allowed, "file")


def test_no_file_has_the_key_in_clear(signing: ImageSigning, tmp_path: Path) -> None:
    raw = parse_key(signing.read()).private_bytes_raw()
    for file in (path for path in tmp_path.rglob("*") if path.is_file()):
        content = file.read_bytes()
        assert b"PRIVATE KEY" not in content, file
        assert raw not in content, file


def _make(folder: Path) -> bytes:
    signing = signing_in(folder)
    signing.make()
    return public_of(signing).raw


def test_many_that_make_it_at_once_get_the_same(tmp_path: Path) -> None:
    with get_context("fork").Pool(4) as pool:
        made = set(pool.map(_make, [tmp_path] * 16))
    assert [*made] == signers(tmp_path)


def _rotate(folder: Path) -> bytes:
    return signing_in(folder).rotate().raw


def test_no_line_is_lost_when_many_rotate_at_once(signing: ImageSigning, tmp_path: Path) -> None:
    first = public_of(signing).raw
    with get_context("fork").Pool(4) as pool:
        made = pool.map(_rotate, [tmp_path] * 8)
    assert sorted(signers(tmp_path)) == sorted([first, *made])
    assert public_of(signing).raw == signers(tmp_path)[-1]


def test_a_lost_file_of_signers_is_made_again_for_the_same_key(
    signing: ImageSigning, tmp_path: Path
) -> None:
    (tmp_path / "allowed_signers").unlink()
    signing.make()
    assert signers(tmp_path) == [public_of(signing).raw]


def test_a_line_that_was_taken_away_is_not_brought_back(
    signing: ImageSigning, tmp_path: Path
) -> None:
    file = tmp_path / "allowed_signers"
    file.write_text("# none\n")
    signing.make()
    assert file.read_text() == "# none\n"


def test_a_lost_key_is_replaced_and_older_images_hold(
    signing: ImageSigning, tmp_path: Path
) -> None:
    old = public_of(signing).raw
    EncryptedFiles(tmp_path / "secrets").delete(NAME)
    with pytest.raises(SettingsError, match="no key to sign images with") as caught:
        signing.read()
    assert "waas init DIR" in (caught.value.hint or "")
    signing.make()
    assert signers(tmp_path) == [old, public_of(signing).raw]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_new_key_signs_and_all_that_the_operator_wrote_stays(
    signing: ImageSigning, tmp_path: Path, end: str
) -> None:
    file = tmp_path / "allowed_signers"
    options = 'namespaces="hpcwaas-image",valid-before="20991231Z"'
    other = public_key(parse_key(new_key()))
    mine = f"# kept by hand\nhpcwaas {options} {other.text} of a friend{end}"
    file.write_text(file.read_text() + mine)
    before, old = file.read_text(), signing.read()
    made = signing.rotate()
    assert public_of(signing) == made
    assert file.read_text().startswith(before)
    allowed = read_signers_file(file)
    for key in (old, signing.read()):
        assert verify(b"x", sign(b"x", parse_key(key), SPACE), allowed, SPACE)
    assert made.raw != parse_key(old).public_key().public_bytes_raw()


def test_a_key_is_allowed_before_it_is_used(
    signing: ImageSigning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signing.read()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(EncryptedFiles, "put", dies)
        with pytest.raises(KeyboardInterrupt):
            signing.rotate()
    assert signing.read() == before
    first, _unused = signers(tmp_path)
    assert public_of(signing).raw == first
    assert signing.rotate().raw == signers(tmp_path)[-1]


def test_a_disk_that_refuses_is_a_sentence(tmp_path: Path) -> None:
    store = EncryptedFiles.init(tmp_path / "secrets")
    lost = ImageSigning(store, tmp_path / "none" / "signers", tmp_path / "secrets" / ".lock")
    with pytest.raises(SettingsError, match="cannot make the key that signs images"):
        lost.make()
    assert store.list() == []
    store.put(NAME, new_key())
    with pytest.raises(SettingsError, match="cannot change the key that signs images"):
        lost.rotate()


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    return home.make(tmp_path / "home", builder={"base": BASE, "backend": "buildx"})


def test_a_home_comes_with_a_key_and_the_service_signs_with_the_newest(
    settings: config.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing = home.image_signing(settings)
    monkeypatch.setattr(image_service, "ImageService", lambda chosen, **_: chosen.signing_key)
    key: Any = image_service.image_service(settings)
    assert key() == signing.read()
    made = signing.rotate()
    assert public_key(parse_key(key())) == made


def test_without_a_key_no_build_begins(settings: config.Settings) -> None:
    EncryptedFiles(settings.secrets).delete(NAME)
    with pytest.raises(SettingsError, match="no key to sign images with"):
        image_service.image_service(settings)
    assert NAME not in EncryptedFiles(settings.secrets).list()
    home.make(settings.home)
    assert image_service.image_service(settings)
