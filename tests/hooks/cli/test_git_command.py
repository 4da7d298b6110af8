"""``waas git``: what an operator mistypes is told in a sentence."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from ci.errors import EntryError
from hooks import home
from hooks.cli.main import waas


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    made = home.make(tmp_path_factory.mktemp("git") / "home", without=("*",))
    return str(made.home / "waas.yaml")


def add(config, *options):
    command = ["--config", config, "git", "users", "add", "ada", *options]
    return CliRunner().invoke(waas, command, standalone_mode=False)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("/nonexistent", "No such file"),
        ("/", "directory"),
        ("a" * 5000, "too long"),
        ("/dev/null", "not one public key"),
        ("/dev/zero", "not one public key"),
    ],
)
def test_a_key_that_cannot_be_read(config, key, words):
    error = add(config, "--key", key).exception
    assert isinstance(error, EntryError)
    assert words in str(error)


def test_what_is_not_utf_8_is_refused(config):
    command = [sys.executable, "-m", "hooks.cli.main", "--config", config]
    done = subprocess.run(
        [*command, "deliveries", "show", b"\xff"], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: what was typed is not UTF-8\n"
