"""A Spack checkout: what counts of it, and that its digest follows."""

import os

import pytest

from builder import checkout
from ci.errors import SettingsError


@pytest.fixture
def spack(tmp_path):
    for path, text in {
        "lib/spack/spack/__init__.py": "spack_version = '0.23.1'",
        "bin/spack": "#!/bin/sh\n",
        "var/spack/repos/builtin/packages/cache/package.py": "1",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_what_counts_changes_the_digest(spack):
    seen = {checkout.digest(spack)}
    for change in (
        lambda: (spack / "bin/spack").write_text("#!/bin/bash\n"),
        lambda: (spack / "bin/spack").chmod(0o755),
        lambda: (spack / "var/spack/repos/builtin/packages/cache/package.py").write_text("2"),
        lambda: (spack / "bin/other").symlink_to("spack"),
        lambda: (spack / "bin/spack").rename(spack / "bin/spock"),
    ):
        change()
        seen.add(checkout.digest(spack))
    assert len(seen) == 6


def test_what_spack_itself_leaves_there_does_not_count(spack):
    before = checkout.digest(spack)
    for path in (
        ".git/HEAD",
        "opt/spack/zlib/lib",
        "var/spack/cache/zlib.tar.gz",
        "lib/spack/spack/__pycache__/x.cpython-311.pyc",
    ):
        (spack / path).parent.mkdir(parents=True, exist_ok=True)
        (spack / path).write_text("x")
    os.utime(spack / "bin/spack", (1, 1))
    assert checkout.digest(spack) == before


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="no checkout of Spack"):
        checkout.digest(tmp_path)
