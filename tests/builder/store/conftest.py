import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.store import ImageStore

ROOT = Path(__file__).parents[3]


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


@pytest.fixture
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python text in a process of its own: ``program(text, *arguments)``."""

    def run(text: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", text, *map(str, arguments)],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, (ROOT, Path(__file__).parent))),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
