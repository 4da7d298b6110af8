from collections.abc import Callable

import pytest

from ci.documents import load
from ci.tosca.model import Topology
from ci.tosca.reader import read_topology


@pytest.fixture
def topology() -> Callable[..., Topology]:
    """Reads a topology from its text, after replacing parts of it."""

    def read(text: str, *replaced: tuple[str, str]) -> Topology:
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        return read_topology(load(text, "demo/tosca/topology.yaml"))

    return read
