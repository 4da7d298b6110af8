"""The code of steps is found as in an image: each step's ``src`` on the path."""

import sys

from seeds import REGISTRY

sys.path[:0] = [
    str(REGISTRY / "reduced_order_model" / step / "src")
    for step in ("simulate", "reduce", "report")
]
sys.path.insert(0, str(REGISTRY / "minimal_workflow" / "wordcount" / "src"))
