import subprocess
import sys
from pathlib import Path

import pytest

from hooks.testbed.cluster import Cluster
from hooks.testbed.ground import own_folder
from hooks.testbed.setup import Tools


def test_a_folder_is_ones_own_and_goes_with_its_owner(tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    with own_folder(parent) as one:
        (one / "file").touch()
        with own_folder(parent) as two:
            assert one != two
        assert (one / "file").exists()
        assert not two.exists()
    assert not parent.exists()


@pytest.mark.cluster
def test_clusters_of_an_owner_that_was_killed_are_removed(
    testbed_tools: Tools, tmp_path: Path
) -> None:
    program = """
import os, sys
from pathlib import Path
from hooks.testbed.cluster import Cluster
from hooks.testbed.ground import own_folder
parent, prefix = map(Path, sys.argv[1:])
with own_folder(parent) as folder:
    Cluster("left", folder, apptainer=prefix, nodes=1).start()
    print(folder, flush=True)
    os.kill(os.getpid(), 9)
"""
    parent = tmp_path / "parent"
    argv = [sys.executable, "-c", program, str(parent), str(testbed_tools.apptainer_prefix)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    left = Cluster(
        "left", Path(done.stdout.strip()), apptainer=testbed_tools.apptainer_prefix, nodes=1
    )
    assert left.info().up
    with own_folder(parent):
        assert not left.disk.exists()
    pgrep = ["pgrep", "-f", str(left.disk)]
    assert subprocess.run(pgrep, check=False, capture_output=True).returncode == 1
