"""Runs in the builder stage: ``database.py index.json 1704067200`` sets the times in Spack's index.

Spack notes when each package was installed (https://spack.readthedocs.io, database.py).
"""

import json
import sys
from typing import Any


def settle(index: dict[str, Any], when: int) -> dict[str, Any]:
    """Return the index with all times of installation replaced, in seconds since 1970."""
    for record in index["database"]["installs"].values():
        if "installation_time" in record:
            record["installation_time"] = when
    return index


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        content = settle(json.load(file), int(sys.argv[2]))
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(content, file, sort_keys=True)
