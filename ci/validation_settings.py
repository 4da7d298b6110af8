"""``validation.yaml`` at the root of a registry: which rules are switched off there, and why.

disabled:
  workflow/no-maintainers: entries of courses have none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ci.documents import load
from ci.errors import EntryError
from ci.located import nearest
from ci.trees import Tree

FILE_NAME = "validation.yaml"


@dataclass(frozen=True, slots=True)
class ValidationSettings:
    """Ids of the rules that are switched off, each with the reason."""

    disabled: Mapping[str, str] = field(default_factory=dict)


def read_validation_settings(
    data: bytes, path: str, rules: Mapping[str, bool]
) -> ValidationSettings:
    """Read the file; ``rules`` says of each rule whether it may be switched off.

    Raises ``EntryError`` with the place of the first thing that is wrong.
    """
    holder = load(data, path).only(("disabled",), FILE_NAME).get("disabled")
    reasons = holder.mapping("disabled") if holder else {}
    for rule, reason in reasons.items():
        if holder is not None and rule not in rules:
            raise holder.key_error(rule, f"there is no rule {rule!r}", hint=nearest(rule, rules))
        if holder is not None and not rules[rule]:
            message = f"rule {rule} keeps the service safe and cannot be switched off"
            raise holder.key_error(rule, message)
        if not reason.string(f"disabled: {rule}").strip():
            raise reason.error(f"disabled: {rule}: say why")
    return ValidationSettings({rule: reason.text for rule, reason in reasons.items()})


def validation_settings_of(tree: Tree, rules: Mapping[str, bool]) -> ValidationSettings:
    """The settings of a tree; what cannot be read switches nothing off."""
    if tree.find(FILE_NAME) is None:
        return ValidationSettings()
    try:
        return read_validation_settings(tree.read(FILE_NAME), FILE_NAME, rules)
    except EntryError:
        return ValidationSettings()  # a rule says what is wrong
