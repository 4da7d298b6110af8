from __future__ import annotations

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ci.errors import EntryError
from hooks.sites.quoting import checked, command_line

# Every character that a site can be told, and often those that mean something to a shell.
_TEXT = st.text(
    st.sampled_from("'\"\\$`!*?[]{}()<>|&;#~=% \t-éz") | st.characters(exclude_categories=["Cs"]),
    max_size=20,
).filter(lambda text: not set(text) & {"\0", "\n", "\r"})


@settings(max_examples=60, deadline=None)
@given(words=st.lists(_TEXT, max_size=6))
@example(words=["'", "''", "-n", "", "~", "$HOME", "a'b\"c", "\\", "*", "x=1", "\x01"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_shell_reads_exactly_the_words(shell: str, words: list[str]) -> None:
    line = command_line(["printf", "%s\\0", *words, "end"])
    done = subprocess.run([shell, "-c", line], capture_output=True, check=True, timeout=10)
    assert done.stdout.decode() == "".join(f"{word}\0" for word in [*words, "end"])
    assert done.stderr == b""


@pytest.mark.parametrize("program", ["if", "time", "A=1", "$(true)", "a b", "!"])
def test_a_program_is_looked_for_by_its_name_and_never_interpreted(program: str) -> None:
    done = subprocess.run(["sh", "-c", command_line([program])], capture_output=True, check=False)
    assert done.returncode == 127 or program == "time"  # a program of that name may exist


@pytest.mark.parametrize("argv", [["a\nb"], ["x", "a\rb"], ["x", "\0"], ["x", "\udcff"], [], [""]])
def test_what_no_shell_can_carry_is_refused(argv: list[str]) -> None:
    for act in (command_line, checked):
        with pytest.raises(EntryError):
            act(argv)
