from __future__ import annotations

from pathlib import Path

import pytest

from ci.errors import EntryError, SettingsError
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.ssh_keys import make_key_pair, public_key
from hooks.sites.transports.ssh import read_private_key


@pytest.fixture
def store(tmp_path: Path) -> EncryptedFiles:
    return EncryptedFiles.init(tmp_path)


def test_the_halves_belong_together(store: EncryptedFiles) -> None:
    line = make_key_pair(store, "site-alice", "alice at the service")
    kind, data, comment = line.split(" ", 2)
    assert (kind, comment) == ("ssh-ed25519", "alice at the service")
    assert read_private_key(store.read("site-alice")).get_base64() == data
    assert public_key(store, "site-alice", "alice at the service") == line


def test_each_pair_is_new(store: EncryptedFiles) -> None:
    assert make_key_pair(store, "a", "") != make_key_pair(store, "a", "")


def test_a_comment_cannot_add_a_line(store: EncryptedFiles) -> None:
    with pytest.raises(EntryError, match="one line"):
        make_key_pair(store, "a", "x\nssh-rsa AAAA attacker")
    assert store.list() == []


def test_what_is_no_key_is_not_shown(store: EncryptedFiles) -> None:
    store.put("a", "hunter2")
    for read in (lambda: public_key(store, "a"), lambda: read_private_key(store.read("a"))):
        with pytest.raises(SettingsError) as caught:
            read()
        assert "hunter2" not in str(caught.value)
