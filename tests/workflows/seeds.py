"""Where the workflows are that come with the project."""

from pathlib import Path

REGISTRY = Path(__file__).parents[2] / "workflow-registry"
