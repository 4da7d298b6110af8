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
        ("listen: '127.0.0.1:\u00b2'", "is not HOST:PORT"),
        ("1: x\na: y", "unknown setting '1'"),
        ('database: "a\\0b"', "cannot be the place of a database"),
        ("registries: {main: {workflows: [1], software: {}}}", "there is no repository [1]"),
        ("databse: x", "unknown setting 'databse'"),
        ("- a", "must be a mapping"),
        ("a: [", "cannot be read"),
        ("repositories: {other: x}", "there is no repository 'workflow-registry'"),
        ("repositories: {Other: x}", "repositories: Other: cannot be a name"),
        ("repositories: {a: {github: x/y, connection: c}}", "there is no connection 'c'"),
        ("repositories: {a: {gitub: x/y}}", "unknown key 'gitub' (did you mean 'github'?)"),
        ("repositories: {a: 3}", "must be a folder, or a mapping"),
        ("github: {c: {url: 'http://x'}}", "does not begin with https://"),
        ("github: {c: {app: 3}}", "app and installation must both be numbers"),
        ("github: {c: {app: true, installation: 1}}", "must both be numbers"),
        ("registries: {main: {workflows: x, software: y}}", "there is no repository 'x'"),
        ("url: ftp://x", "url: 'ftp://x' does not begin"),
        ("builder: {bakend: x}", "builder: unknown key 'bakend' (did you mean 'backend'?)"),
        ("builder: [a]", "builder: must be a mapping"),
        ("builder: {at_once: 0}", "builder: at_once: '0' is not a number of builds"),
        ("builder: {at_once: true}", "builder: at_once"),
        ("builder: {time_limit: 4h}", "builder: time_limit: '4h' is not a time"),
        ("builder: {quota_gb: much}", "builder: quota_gb: 'much' is not a number of gigabytes"),
        ("builder: {spack: here}", "builder: spack: 'here' is not the absolute path"),
        ("builder: {registry: {url: 'ftp://x'}}", "builder: registry"),
        ("builder: {registry: {url: 'http://x', credentials: rel}}", "builder: registry"),
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


def test_the_builder_is_read_with_its_units(tmp_path):
    text = """
builder:
  backend: buildah
  spack: /opt/spack
  at_once: 2
  time_limit: "01:00:30"
  quota_gb: 10
  registry: {url: "http://127.0.0.1:5000", credentials: /etc/waas/registry}
  environment: {DOCKER_HOST: unix:///run/docker.sock}
"""
    choice = load(written(tmp_path, text)).builder
    assert (choice.backend, choice.at_once, choice.time_limit) == ("buildah", 2, 3630.0)
    assert choice.quota_gb == 10.0
    assert choice.spack == Path("/opt/spack")
    assert choice.registry is not None
    assert choice.registry.repository == "hpcwaas/images"
    assert choice.registry.credentials == Path("/etc/waas/registry")
    assert choice.environment == {"DOCKER_HOST": "unix:///run/docker.sock"}


HOSTED = """
repositories:
  workflow-registry: git/workflow-registry.git
  software-catalog: {github: lab/catalogue, connection: public}
  bio: {github: lab/bio, connection: ours}
registries:
  main: {workflows: workflow-registry, software: software-catalog}
  bio: {workflows: bio, software: software-catalog}
github:
  public: {app: 12, installation: 34}
  ours: {url: "https://github.example.org/api/v3/"}
"""


def test_registries_may_lie_on_several_forges(tmp_path):
    forges = load(written(tmp_path, HOSTED)).forges
    assert list(forges.folders) == ["workflow-registry"]
    public, ours = forges.hosted["software-catalog"], forges.hosted["bio"]
    assert (public.slug, public.connection.app, public.connection.installation) == (
        "lab/catalogue", 12, 34,
    )  # fmt: skip
    assert public.connection.credential == "github-public"
    assert (ours.connection.url, ours.connection.app) == ("https://github.example.org/api/v3", 0)
    assert forges.registries["bio"].software == "software-catalog"


def test_one_repository_has_one_name(tmp_path):
    text = HOSTED.replace("bio: {github: lab/bio, connection: ours}",
                          "bio: {github: Lab/Catalogue, connection: public}")  # fmt: skip
    with pytest.raises(SettingsError, match="has two names"):
        load(written(tmp_path, text))


def test_where_people_reach_the_service_may_be_elsewhere(tmp_path):
    assert (
        load(written(tmp_path, "url: https://waas.example.org/")).url == "https://waas.example.org"
    )
