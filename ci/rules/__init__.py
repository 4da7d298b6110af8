"""Rules: one small check each, by the subject that they look at.

A new rule is a class in the module of its subject, and a line in that module's ``RULES``.
"""

from __future__ import annotations

from typing import Any

from ci.rules import (
    breakage,
    catalogs,
    code,
    contents,
    easyconfigs,
    environments,
    files,
    images,
    imports,
    invocations,
    keys,
    names,
    orchestration,
    order,
    packages,
    properties,
    recipe_versions,
    recipes,
    references,
    repetitions,
    scripts,
    secrets,
    settings,
    specs,
    topologies,
    workflows,
)
from ci.rules.base import (
    ContentRule,
    Context,
    PackageRule,
    Rule,
    SourceFile,
    StepRule,
    TopologyOf,
    TopologyRule,
    User,
)

FILES = (*files.RULES, *names.RULES)
CONTENTS: tuple[type[ContentRule], ...] = (
    *contents.RULES,
    *secrets.RULES,
    *scripts.RULES,
    *settings.RULES,
    *imports.TYPE_RULES,
    *catalogs.RULES,
)
WORKFLOWS = workflows.RULES
TOPOLOGIES: tuple[type[TopologyRule], ...] = (
    *topologies.RULES,
    *keys.RULES,
    *imports.RULES,
    *properties.RULES,
    *references.RULES,
    *orchestration.RULES,
    *order.RULES,
    *images.RULES,
)
STEPS: tuple[type[StepRule], ...] = (
    *environments.RULES,
    *specs.RULES,
    *repetitions.RULES,
    *code.RULES,
)
PACKAGES: tuple[type[PackageRule], ...] = (
    *packages.RULES,
    *recipes.RULES,
    *recipe_versions.RULES,
    *easyconfigs.RULES,
    *invocations.RULES,
)
USERS = breakage.RULES

__all__ = [
    "CONTENTS",
    "FILES",
    "PACKAGES",
    "STEPS",
    "TOPOLOGIES",
    "USERS",
    "WORKFLOWS",
    "Context",
    "Rule",
    "SourceFile",
    "TopologyOf",
    "User",
    "all_rules",
]


def all_rules() -> list[type[Rule[Any]]]:
    """Every rule, by id."""
    rules: list[type[Rule[Any]]] = [
        *FILES,
        *CONTENTS,
        *WORKFLOWS,
        *TOPOLOGIES,
        *STEPS,
        *PACKAGES,
        *USERS,
    ]
    return sorted(rules, key=lambda rule: rule.id)
