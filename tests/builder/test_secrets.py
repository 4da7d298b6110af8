from pathlib import Path

import pytest

from builder.secrets import detect_secrets


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root/etc/apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "root/etc/apt/apt.conf.d").mkdir()
    return tmp_path / "root"


def found(root: Path, **environ: str) -> dict[str, str]:
    environ.setdefault("HOME", str(root))
    secrets = detect_secrets(environ, root / "secrets", root=root)
    return {name: path.read_text() for name, path in secrets.items()}


def test_nothing_there_is_nothing_passed(root: Path) -> None:
    assert found(root) == {}


def test_apt_sources_become_one_file(root: Path) -> None:
    apt = root / "etc/apt"
    (apt / "sources.list").write_text(
        "# comment\n"
        "deb [signed-by=/k/a.gpg arch=amd64,i386] http://one.example/debian b main contrib # x\n"
        "deb-src http://one.example/debian bookworm main\n"
        "deb file:/srv/debs ./\n"
        "deb cdrom:[Debian]/ bookworm main\n"
    )
    (apt / "sources.list.d/b.sources").write_text(
        "Types: deb\n# comment\nURIs: https://two.example/debian\nSuites: bookworm\n\n"
        "Types: deb\nURIs: file:/srv/x\nSuites: y\n\n"
        "Types: deb\nEnabled: no\nURIs: http://three.example\nSuites: y\n"
    )
    assert found(root)["aptsources"] == (
        "Types: deb\nURIs: https://two.example/debian\nSuites: bookworm\n\n"
        "Types: deb\nURIs: http://one.example/debian\nSuites: b\n"
        "Components: main contrib\nSigned-By: /k/a.gpg\nArchitectures: amd64 i386\n"
    )


def test_apt_settings_of_how_to_fetch_are_passed(root: Path) -> None:
    (root / "etc/apt/apt.conf.d/50x").write_text(
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'DPkg::Post-Invoke { "rm -rf /"; };\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Dir::Cache::pkgcache "";\n'
    )
    assert found(root)["aptconf"] == (
        'Acquire::http::Proxy "http://proxy.example:3128";\nAcquire::Check-Valid-Until "false";\n'
    )


def test_pip_settings_are_merged_and_local_ones_stay_here(root: Path) -> None:
    (root / "etc/pip.conf").write_text(
        "[global]\nindex-url = https://one.example/simple\nfind-links = /opt/wheels\n"
        "extra-index-url = file:///opt/simple https://three.example/simple\n"
        "[install]\ntrusted-host = one.example\n"
    )
    environ = {"PIP_INDEX_URL": "https://u:p%40@two.example/simple", "PIP_FIND_LINKS": "/x"}
    assert found(root, **environ)["pipconf"] == (
        "[global]\nindex-url = https://u:p%40@two.example/simple\n"
        "extra-index-url = https://three.example/simple\ntrusted-host = one.example\n"
    )


def test_only_local_pip_settings_are_none(root: Path) -> None:
    assert found(root, PIP_FIND_LINKS="/opt/wheels", PIP_INDEX_URL="file:///opt/simple") == {}


def test_a_bundle_of_certificates_is_passed_if_it_is_there(root: Path) -> None:
    bundle = root / "ca.pem"
    assert found(root, PIP_CERT=str(bundle)) == {}
    bundle.write_text("certificates")
    assert found(root, PIP_CERT=str(bundle)) == {"ca": "certificates"}
    (root / "etc/pip.conf").write_text(f"[global]\ncert = {bundle}\n")
    assert found(root) == {"ca": "certificates"}


def test_the_files_are_ours_alone(root: Path) -> None:
    found(root, PIP_INDEX_URL="https://u:p@example/simple")
    assert (root / "secrets").stat().st_mode & 0o777 == 0o700
    assert (root / "secrets/pipconf").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in (root / "secrets").iterdir()] == ["pipconf"]
