import pytest

from ci.documents import load
from ci.errors import EntryError
from ci.located import nearest


def test_accessors_tell_what_was_expected_and_where() -> None:
    document = load("a: 1\nb: [x]\nc: yes\nd: true\ne: 1.50\n", "f.yaml")
    items = document.only("abcde", "a thing")
    assert items["a"].integer("a", at_least=0, at_most=5) == 1
    assert items["e"].string("e") == "1.50"
    assert items["d"].boolean("d") is True
    for call in (
        lambda: items["a"].sequence("a"),
        lambda: items["b"].mapping("b"),
        lambda: items["b"].string("b"),
        lambda: items["c"].boolean("c"),
        lambda: items["d"].integer("d", at_least=0, at_most=5),
        lambda: items["d"].string("d"),
        lambda: items["a"].integer("a", at_least=2, at_most=5),
    ):
        with pytest.raises(EntryError) as caught:
            call()
        assert caught.value.path == "f.yaml"
        assert caught.value.line > 0


def test_an_unknown_key_is_told_at_the_key_with_the_one_that_was_meant() -> None:
    document = load("title: x\nmantainers: []\n", "f.yaml")
    with pytest.raises(EntryError) as caught:
        document.only(["title", "maintainers"], "a thing")
    assert (caught.value.line, caught.value.column) == (2, 1)
    assert "'maintainers'" in caught.value.hint


def test_nothing_counts_as_empty() -> None:
    assert load("", "f.yaml").mapping("it") == {}
    assert load("", "f.yaml").sequence("it") == []


def test_nearest_names_one_or_all() -> None:
    assert nearest("simulat", ["simulate", "report"]) == "did you mean 'simulate'?"
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
    assert nearest("zzz", []) == "there are none"
    assert nearest("zzz", [f"n{n}" for n in range(100)]).endswith(" …")
