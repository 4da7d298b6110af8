import pytest

from ci.errors import EntryError
from ci.validation_settings import read_validation_settings, validation_settings_of

RULES = {"a/b": True, "safe/rule": False}


def read(text: str):
    return read_validation_settings(text.encode(), "validation.yaml", RULES)


def test_rules_are_off_for_a_reason() -> None:
    assert read("disabled:\n  a/b: not here\n").disabled == {"a/b": "not here"}
    assert read("").disabled == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("disabled: {a/c: x}", r"no rule 'a/c'.*did you mean 'a/b'"),
        ("disabled: {safe/rule: x}", "cannot be switched off"),
        ("disabled: {a/b: }", "must be text"),
        ("disabled: {a/b: ' '}", "say why"),
        ("disabled: [a/b]", "must be a mapping"),
        ("disable: {}", "unknown key"),
        ("disabled: {a/b: x", "not YAML"),
    ],
)
def test_mistakes_have_a_place(text: str, said: str) -> None:
    with pytest.raises(EntryError, match=said) as caught:
        read(text)
    assert caught.value.line >= 1


def test_what_cannot_be_read_switches_nothing_off(tree) -> None:
    assert validation_settings_of(tree({}), RULES).disabled == {}
    for text in ("disabled: [", "disabled: {safe/rule: x}"):
        assert validation_settings_of(tree({"validation.yaml": text}), RULES).disabled == {}
