"""The settings file: defaults, paths relative to the home, and errors that name the field."""

from pathlib import Path

import pytest

from ci.errors import SettingsError
from hooks.config import find_config, load


def written(folder: Path, text: str) -> Path:
    path = folder / "waas.yaml"
    path.write_text(text)
    return path


def test_an_empty_file_is_a_home_with_defaults(tmp_path):
    settings = load(written(tmp_path, ""))
    assert settings.database == f"sqlite:///{tmp_path}/state/waas.db"
    assert settings.url == "http://127.0.0.1:8080"
    assert settings.repositories["workflow-registry"] == tmp_path / "git/workflow-registry.git"


def test_another_database_is_taken_as_it_is(tmp_path):
    url = "postgresql+psycopg://waas@db/waas"
    assert load(written(tmp_path, f"database: {url}")).database == url


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listen: nowhere", "listen: 'nowhere' is not HOST:PORT"),
        ("listen: 127.0.0.1:99999", "is not HOST:PORT"),
        ("databse: x", "unknown setting 'databse'"),
        ("- a", "must be a mapping"),
        ("a: [", "cannot be read"),
        ("repositories: {other: x}", "must name workflow-registry and software-catalog"),
        ("builder: {bakend: x}", "builder: must be a mapping with keys of"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, words):
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text))
    assert words in str(caught.value)
    assert "waas.yaml" in str(caught.value)


def test_the_environment_names_the_file(tmp_path, monkeypatch):
    path = written(tmp_path, "")
    monkeypatch.setenv("WAAS_CONFIG", str(path))
    assert find_config(None) == path
