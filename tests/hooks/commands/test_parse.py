"""Commands in what people write: found where they are meant, nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooks.commands.parse import COMMANDS, MOST, Command, Mistake, help_text, parse


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/validate", Command("validate")),
        ("/PLAN", Command("plan")),
        ("Thanks!\r\n/build alpha beta  \r\nbye", Command("build", ("alpha", "beta"))),
        ("/build", Command("build")),
        ("/build 0123abcd alpha", Command("build", ("alpha",), "0123abcd")),
        ("/cancel", Command("cancel")),
        ("/deploy alpha", Command("deploy", ("alpha",))),
        ("/rollback alpha", Command("rollback", ("alpha",))),
        ("/rollback alpha 0123abc", Command("rollback", ("alpha",), "0123abc")),
        ("/help", Command("help")),
    ],
)
def test_a_line_of_its_own_is_a_command(text, command):
    assert parse(text) == [command]


@pytest.mark.parametrize(
    "text",
    [
        "please /build it",
        "/usr/bin/env python",
        "/tmp",
        "> /build",
        "    /build",
        "```\n/build\n```",
        "~~~sh\n/build\n~~~",
        "````\n```\n/build\n````",
        "```\n/build",
        "`/build`",
        "/build: we should",
        "> see above\u2028/deploy alpha",
        "> see above\x85/deploy alpha",
        "> see above\x0b/deploy alpha\x0c/build\x1c/build",
        "<!-- not shown:\n/deploy alpha\n-->",
        "thanks <!--\n/deploy alpha\n",
        "<pre>\n/build\n</pre>",
        "  <PRE class=x>\n\n/build\n",
        "",
    ],
)
def test_prose_code_and_quotes_are_no_commands(text):
    assert parse(text) == []


@pytest.mark.parametrize(
    "before",
    ["```\n/build\n```", "<!-- a\n/build\n-->", "<!-- a -->", "<pre>\n/build\n</pre>", "`<!--` a"],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_after_code_and_what_is_not_shown_commands_count_again(before, line_end):
    assert parse(f"{before}\n/plan".replace("\n", line_end)) == [Command("plan")]


def test_what_cannot_be_stored_or_shown_is_not_in_what_was_asked():
    [found] = parse("/build \ud800 \x00 \x1b[2J")
    assert str(found).isprintable()
    assert found.sentence.isprintable()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/biuld", "did you mean /build?"),
        ("/deploy", "write it as `/deploy SITE`"),
        ("/deploy a b", "write it as"),
        ("/deploy $(id)", "cannot be a site"),
        ("/build --all", "cannot be a site"),
        ("/rollback alpha main", "is not a commit"),
        ("/validate now", "write it as `/validate`"),
    ],
)
def test_a_mistake_is_told(text, words):
    [found] = parse(text)
    assert isinstance(found, Mistake)
    assert words in found.sentence


def test_there_is_a_limit():
    found = parse("/plan\n" * 100)
    assert len(found) == MOST
    assert isinstance(found[-1], Mistake)


def test_help_names_them_all():
    assert all(f"/{name}" in help_text() for name in COMMANDS)


LINES = st.sampled_from(
    [
        "/",
        "/build",
        "<!--",
        "-->",
        "<pre>",
        "</pre>",
        "```",
        "~~~",
        "> ",
        "/deploy a",
        "/x",
        "\u202e/build",
        "a",
    ]
)


@given(st.one_of(st.text(), st.lists(LINES).map("\n".join)))
def test_any_text_is_read(text):
    for found in parse(text):
        assert isinstance(found, Mistake) or found.name in COMMANDS
        assert isinstance(found, Mistake) or parse(str(found)) == [found]
