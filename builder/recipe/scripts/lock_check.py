"""Runs in the builder stage: ``lock_check.py spack.lock zen3`` fails if something is for another.

The lock (https://spack.readthedocs.io, environments) names the target of each concrete spec.
What is external is not built, so its target says nothing.
"""

import json
import sys
from typing import Any


def wrong(lock: dict[str, Any], wanted: str) -> list[str]:
    """Return the names of packages that are to be built for another microarchitecture."""
    found = set()
    for spec in lock["concrete_specs"].values():
        target = spec["arch"]["target"]
        name = target["name"] if isinstance(target, dict) else target
        if name != wanted and "external" not in spec:
            found.add(spec["name"])
    return sorted(found)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        names = wrong(json.load(file), sys.argv[2])
    sys.exit("error: not for " + sys.argv[2] + ": " + ", ".join(names) if names else 0)
