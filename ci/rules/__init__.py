"""Rules: one small check each, by the subject that they look at.

A new rule is a class in the module of its subject, and a line in that module's ``RULES``.
"""

from __future__ import annotations

from typing import Any

from ci.rules import contents, environments, files, images, packages, topologies, workflows
from ci.rules.base import Context, Rule, SourceFile, TopologyOf

FILES = files.RULES
CONTENTS = contents.RULES
WORKFLOWS = workflows.RULES
TOPOLOGIES = (*topologies.RULES, *images.RULES)
STEPS = environments.RULES
PACKAGES = packages.RULES

__all__ = [
    "CONTENTS",
    "FILES",
    "PACKAGES",
    "STEPS",
    "TOPOLOGIES",
    "WORKFLOWS",
    "Context",
    "Rule",
    "SourceFile",
    "TopologyOf",
    "all_rules",
]


def all_rules() -> list[type[Rule[Any]]]:
    """Every rule, by id."""
    rules: list[type[Rule[Any]]] = [*FILES, *CONTENTS, *WORKFLOWS, *TOPOLOGIES, *STEPS, *PACKAGES]
    return sorted(rules, key=lambda rule: rule.id)
