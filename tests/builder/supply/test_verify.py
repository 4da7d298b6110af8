from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from builder.supply import signature
from builder.supply.inventory import Inventory
from builder.supply.provenance import Origin, canonical, sources_digest
from builder.supply.seal import seal
from builder.supply.signers import PublicKey, write_signers
from builder.supply.verify import NAMESPACE, verify
from ci.errors import SettingsError


def test_a_sealed_image_is_verified(sealed) -> None:
    found = verify(sealed.folder, sealed.signers)
    assert (found.key, f"sha256:{found.sha256}") == (sealed.image.key, sealed.image.digest)
    assert found.signer == sealed.signers[0]
    assert sorted(found.files) == [
        "image.sif",
        "metadata.json",
        "recipe",
        "records/dpkg.txt",
        "records/pip.txt",
        "sbom.cdx.json",
    ]


def test_the_statement_says_what_the_image_was_made_from(sealed) -> None:
    said = verify(sealed.folder, sealed.signers).statement
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    definition = said["predicate"]["buildDefinition"]
    assert definition["externalParameters"]["workflow"] == "flow"
    assert definition["externalParameters"]["environment"] == {"apt": ["libc6"]}
    recipe = hashlib.sha256((sealed.folder / "recipe").read_bytes()).hexdigest()
    assert definition["internalParameters"]["recipe"] == {"sha256": recipe}
    assert definition["resolvedDependencies"] == [
        {"digest": {"sha256": "2" * 64}, "name": "base"},
        {"digest": {"gitCommit": "c" * 40}, "name": "source"},
        {"digest": {"sha256": sources_digest({"step/run.sh": "3" * 64})}, "name": "files"},
    ]
    assert said["predicate"]["runDetails"]["metadata"]["invocationId"] == "one"


def test_many_files_have_the_digest_that_sha256sum_gives(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("x")
    (tmp_path / "a").write_text("y")
    text = subprocess.run(["sha256sum", "a", "b"], cwd=tmp_path, capture_output=True).stdout
    found = {line.split()[1]: line.split()[0] for line in text.decode().splitlines()}
    assert sources_digest(found) == hashlib.sha256(text).hexdigest()


def test_ssh_keygen_accepts_the_signature_by_hand(sealed, openssh_accepts) -> None:
    text = (sealed.folder / "provenance.json.sig").read_text()
    signers = write_signers(sealed.signers, NAMESPACE, datetime.now(UTC))
    content = (sealed.folder / "provenance.json").read_bytes()
    assert openssh_accepts(content, text, signers)
    assert not openssh_accepts(content.replace(b"hello", b"hallo"), text, signers)


def test_one_flipped_byte_anywhere_is_refused(sealed) -> None:
    tried = 0
    for path in sorted(sealed.folder.rglob("*")):
        if not path.is_file() or path.name == "build.log":
            continue
        content = path.read_bytes()
        step = max(len(content) // 40, 1)
        for position in {*range(0, len(content), step), len(content) - 1}:
            flipped = bytearray(content)
            flipped[position] ^= 1
            path.write_bytes(flipped)
            with pytest.raises(SettingsError, match=r"(?s)part/"):
                verify(sealed.folder, sealed.signers)
            tried += 1
        path.write_bytes(content)
    assert tried > 200
    verify(sealed.folder, sealed.signers)


def test_the_log_is_not_signed(sealed) -> None:
    (sealed.folder / "build.log").write_text("other")
    verify(sealed.folder, sealed.signers)
    (sealed.folder / "build.log").unlink()
    verify(sealed.folder, sealed.signers)


@pytest.mark.parametrize(
    "name", ["image.sif", "recipe", "records/dpkg.txt", "provenance.json", "provenance.json.sig"]
)
def test_a_file_that_is_missing_is_named(sealed, name: str) -> None:
    (sealed.folder / name).unlink()
    with pytest.raises(SettingsError, match=name):
        verify(sealed.folder, sealed.signers)


@pytest.mark.parametrize("name", ["extra", "records/extra", "new/provenance.json", ".hidden"])
def test_a_file_that_nobody_signed_is_named(sealed, name: str) -> None:
    (sealed.folder / name).parent.mkdir(exist_ok=True)
    (sealed.folder / name).write_text("x")
    with pytest.raises(SettingsError, match=f"{name} is not one of the signed files"):
        verify(sealed.folder, sealed.signers)


def test_a_link_is_refused_even_to_the_right_content(sealed, tmp_path: Path) -> None:
    path = sealed.folder / "recipe"
    shutil.move(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="recipe is neither a file nor a folder"):
        verify(sealed.folder, sealed.signers)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SettingsError, match="recipe is neither"):
        verify(sealed.folder, sealed.signers)


def test_a_key_that_is_not_allowed_any_more(sealed) -> None:
    other = signature.public_key(Ed25519PrivateKey.generate())
    with pytest.raises(SettingsError, match="by a key that may not"):
        verify(sealed.folder, [other])
    ended = PublicKey(sealed.signers[0].raw, valid_before=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(SettingsError, match="not valid after"):
        verify(sealed.folder, [ended])
    verify(sealed.folder, [other, *sealed.signers])


def _sign_again(sealed, document: object) -> None:
    content = canonical(document)
    text = signature.sign(content, sealed.key, NAMESPACE)
    (sealed.folder / "provenance.json").write_bytes(content)
    (sealed.folder / "provenance.json.sig").write_text(text)


def test_two_sealed_images_cannot_be_mixed(sealed) -> None:
    said = json.loads((sealed.folder / "provenance.json").read_text())
    said["predicate"]["buildDefinition"]["internalParameters"]["contentKey"] = "cd" * 32
    _sign_again(sealed, said)
    with pytest.raises(SettingsError, match="tell of different images"):
        verify(sealed.folder, sealed.signers)


@pytest.mark.parametrize("document", [[], {}, {"_type": "x"}, "text"])
def test_a_signed_text_that_is_no_provenance_is_refused(sealed, document: object) -> None:
    _sign_again(sealed, document)
    with pytest.raises(SettingsError, match="no statement of provenance"):
        verify(sealed.folder, sealed.signers)


def test_a_statement_about_no_image_is_refused(sealed) -> None:
    said = json.loads((sealed.folder / "provenance.json").read_text())
    for subject in ([], None, [{"name": 1}], said["subject"][1:]):
        _sign_again(sealed, said | {"subject": subject})
        with pytest.raises(SettingsError, match="not about an image"):
            verify(sealed.folder, sealed.signers)


def test_sealing_twice_gives_the_same(sealed) -> None:
    before = {path: path.read_bytes() for path in sealed.folder.rglob("*") if path.is_file()}
    said = json.loads(before[sealed.folder / "provenance.json"])["predicate"]["runDetails"]
    assert said["builder"]["id"]
    (sealed.folder / "records" / "dpkg.txt").write_text("half")
    seal(
        sealed.folder,
        sealed.image,
        found=Inventory(),
        origin=Origin(),
        key=sealed.key,
        source_date_epoch=0,
    )
    verify(sealed.folder, sealed.signers)
    assert not list((sealed.folder / "records").iterdir())  # none of the inventory before


def test_a_sif_that_is_not_the_one_that_was_made_is_not_signed(sealed) -> None:
    (sealed.folder / "provenance.json.sig").unlink()
    with pytest.raises(SettingsError, match="is not the image that was made"):
        seal(
            sealed.folder,
            replace(sealed.image, digest="sha256:" + "0" * 64),
            found=Inventory(),
            origin=Origin(),
            key=sealed.key,
            source_date_epoch=0,
        )
    assert not (sealed.folder / "provenance.json.sig").exists()


def test_no_part_of_the_key_is_in_the_image(sealed) -> None:
    secret = sealed.key.private_bytes_raw()
    wanted = [secret, base64.b64encode(secret)[:-4], secret.hex().encode()]
    for path in sealed.folder.rglob("*"):
        assert path.is_dir() or not any(text in path.read_bytes() for text in wanted)
