from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from builder.supply.inventory import inventory
from hooks.testbed.engine import Engine

RECIPE = """\
FROM base
COPY venv /opt/venv
RUN mkdir -p /opt/venv/lib/site-packages/made.dist-info \\
 && printf 'Name: made\\nVersion: 2\\n' > /opt/venv/lib/site-packages/made.dist-info/METADATA
RUN rm -r /opt/venv/lib/site-packages/gone.dist-info
RUN cd /opt/venv/lib/site-packages && mkdir linked.dist-info \\
 && ln made.dist-info/METADATA linked.dist-info/METADATA
RUN rm -r /opt/venv/lib/site-packages/linked.dist-info
"""


@pytest.mark.engine
@pytest.mark.parametrize("output", ["uncompressed", "gzip", "zstd", "local"])
def test_what_a_real_engine_exports_is_read(
    engine: Engine, busybox_base: Path, tmp_path: Path, output: str
) -> None:
    for name in ("stays", "gone"):
        folder = tmp_path / "context" / "venv" / "lib" / "site-packages" / f"{name}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
    (tmp_path / "Dockerfile").write_text(RECIPE)
    made = tmp_path / "made"
    form = f"type=oci,compression={output},force-compression=true"
    form = "type=local" if output == "local" else form
    argv = ["docker", "buildx", "build", "--provenance=false", "--network=none"]
    argv += ["--build-context", f"base=oci-layout://{busybox_base}", "-f", "Dockerfile"]
    argv += ["--output", f"{form},dest={made}", "context"]
    environment = {**os.environ, **engine.environment}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = [(package.name, package.version) for package in inventory(made).python]
    assert found == [("made", "2"), ("stays", "1")]
