"""What strangers wrote calls nobody on GitHub, names no issue, and breaks out of nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.markdown import code, escaped
from hooks.forges.github.markdown import LONGEST, MARKER, body, cut, defused, line, prose

_WORDS = st.lists(
    st.sampled_from(
        [
            "@ada",
            "#12",
            "GH-7",
            "fixes #3",
            "`",
            "``",
            "```",
            "\n",
            "\\",
            "~~~",
            "](",
            "](#0)",
            "[",
            ")",
            MARKER,
            "<!--",
            "-->",
            "<details>",
            "</details>",
            "x",
            " ",
            "|",
            "é",
            "\ud800",
        ]
    ),
    max_size=30,
).map("".join)
_HOSTILE = st.text() | _WORDS


def outside_code(text: str) -> str:
    """As GitHub reads it: code spans on a line are gone, escaped characters stay."""
    return re.sub(r"(\\[\\`])|`[^`\n]*`", lambda found: found[1] or "", text)


@given(_HOSTILE)
def test_nobody_is_called_and_no_issue_is_named(text: str) -> None:
    for shown in (prose(text), defused(code(text)), defused(f"| {code(text)} | {escaped(text)} |")):
        left = outside_code(shown)
        assert not re.search(r"@\w", left)
        assert not re.search(r"#\d", left)
        assert not re.search(r"\bGH-\d", left, re.IGNORECASE)


@given(_HOSTILE)
def test_our_marker_is_not_forged(text: str) -> None:
    made = body(text)
    assert made.startswith(f"{MARKER}\n")
    assert not re.search(r"<!--\s*hpcwaas", made[len(MARKER) :], re.IGNORECASE)


@given(_HOSTILE, st.integers(200, 2_000))
def test_what_is_cut_is_short_enough_and_closes_what_it_opened(text: str, longest: int) -> None:
    made = cut(text * 40, longest)
    assert len(made.encode("utf-8", "replace")) <= max(longest, 0)


def test_code_and_folds_are_closed_where_a_text_is_cut() -> None:
    text = "<details>\n\n```\n" + "a line of a log\n" * 100 + "```\n</details>\n"
    made = cut(text, 800)
    assert made.count("```") == 2
    assert made.count("<details>") == made.count("</details>") == 1
    assert made.index("\n```\n</details>") > made.rindex("a line of a log")
    assert made.endswith("no room for.")


def test_a_text_that_fits_stays_as_it_is() -> None:
    assert cut("a" * LONGEST) == "a" * LONGEST
    assert defused("[page](https://host/pulls/1#2) and `@ada #12`") == (
        "[page](https://host/pulls/1#2) and `@ada #12`"
    )


def test_a_comment_fits_into_github_s_limit() -> None:
    assert len(body("@ada " * 50_000)) <= 65_536


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb\tc", "a b c"), ("x" * 9, "xxxx…"), ("\x1b[31m", " [31m".strip())]
)
def test_a_line_is_one_line(text: str, shown: str) -> None:
    assert line(text, 5) == shown
