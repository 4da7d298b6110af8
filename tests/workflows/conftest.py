"""The code of steps is found as in an image: each step's ``src`` on the path."""

import sys
from pathlib import Path

REGISTRY = Path(__file__).parent.parent.parent / "workflow-registry"
sys.path[:0] = [
    str(REGISTRY / "reduced_order_model" / step / "src")
    for step in ("simulate", "reduce", "report")
]
sys.path.insert(0, str(REGISTRY / "minimal_workflow" / "wordcount" / "src"))
