import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.content import shell_source
from ci.content.shell_source import check_shell
from ci.content.well_formed import NewerPythonError, check_json, check_python, check_yaml
from ci.errors import EntryError


def refusal(check, *arguments) -> EntryError | None:
    """The error of a check, if it has one."""
    try:
        check(*arguments)
    except EntryError as error:
        return error
    return None


RIGHT = [
    "",
    '#!/bin/bash\nset -e\nexport B="$HOME/x ${C}" # why\n\nmodule load gcc && make > log 2>&1\n',
    "pip install --no-cache-dir numpy==1.26 'scipy>=1' | tee log; cd /tmp;\n",
    "a \\\n  b\n",
    "shopt -s extglob\nrm -f !(*.txt)\n",
    "cat <<END\nif then\nEND\n",
    'if true; then echo "it\'s"; fi\nx=$(date) y=`date`\n',
    'for f in *.txt; do [[ $f == a* ]] && echo "${f%.txt}"; done\n',
    "echo a#b 'c # d' \"e # f\"\n",
    "tail -n +4 $0 | tar x\nexit 0\n(binary\n",
    '#!/bin/sh\n""":"\nexec python3 $0\n":"""\nimport os\nprint(os.name)\n',
    "f() { local x=(1 2); echo ${x[@]}; }\n",
]
WRONG = [
    ("if true; then\necho a\n", 3),
    ("echo (\n", 1),
    ("echo 'a\n", 1),
    ("a\nfi\n", 2),
    ("a | | b\n", 1),
    ("a && && b\n", 1),
    (";;\n", 1),
    ("case x in\n", 2),
    ('echo "a\n', 1),
    ("function {\n", 1),
]


@pytest.mark.parametrize("text", RIGHT)
def test_scripts_that_are_right(text: str) -> None:
    check_shell(text.encode(), "a.sh")


@pytest.mark.parametrize(("text", "line"), WRONG)
def test_scripts_that_are_wrong(text: str, line: int) -> None:
    with pytest.raises(EntryError, match="not a shell script") as error:
        check_shell(text.encode(), "a.sh")
    assert abs(error.value.line - line) <= 1


@pytest.mark.parametrize(
    "text",
    [
        "touch {}",
        "x=$(touch {})",
        "x=`touch {}`; : ${{y:=$(touch {})}} <(touch {})",
        "set +n\ntouch {}",
        "a[$(touch {})]=1; (( x = $(touch {}) )); cat <<E\n$(touch {})\nE",
        "trap 'touch {}' EXIT ERR DEBUG; alias a='touch {}'; a\nexit 1",
        "if; touch {}; PS4='$(touch {})'; set -x",
        "eval 'touch {}'; source /dev/stdin <<< 'touch {}'; exec touch {}",
    ],
)
def test_nothing_is_executed(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start_up = tmp_path / "start"
    start_up.write_text(f"touch {tmp_path / 'made'}\n")
    monkeypatch.setenv("BASH_ENV", str(start_up))
    monkeypatch.setenv("ENV", str(start_up))
    refusal(check_shell, (text.replace("{}", str(tmp_path / "made")) + "\n(:)\n").encode(), "")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "text", ["$(" * 300_000, "(" * 900_000, "if true; then " * 60_000, "{ " * 400_000, "a" * 10**6]
)
def test_bombs_end_soon(text: str) -> None:
    begin = time.monotonic()
    assert len(str(refusal(check_shell, text.encode(), "a.sh"))) < 300
    assert time.monotonic() - begin < 30  # a guard against no end, not a measure


def test_what_bash_says_holds_no_long_piece_of_the_script() -> None:
    with pytest.raises(EntryError) as error:
        check_shell(b"echo a (hunter2hunter2)\n", "a.sh")
    assert "hunter2" not in str(error.value)


def test_no_bash_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell_source, "_bash", lambda: None)
    check_shell(b"if", "a.sh")


def test_nothing_is_left_open() -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(EntryError):
            check_shell(b"fi", "a.sh")
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    "text",
    ["x = 1", "# -*- coding: latin-1 -*-\nx = '\xfc'", "match x:\n  case 1: pass", "\ufeffx = 1"],
)
def test_python_that_is_right(text: str) -> None:
    check_python(text.encode("latin-1" if "latin" in text else "utf-8"), "a.py")


@pytest.mark.parametrize("text", ["print 'a'", "x = 0777", "exec 'a'"])
def test_python_2_is_called_so(text: str) -> None:
    with pytest.raises(EntryError) as error:
        check_python(text.encode(), "a.py")
    assert "Python 2" in error.value.hint
    assert error.value.line == 1


@pytest.mark.parametrize("text", ["type A = int", "class A[T]: pass", "x = f'{a['b']}'"])
def test_python_that_is_newer(text: str) -> None:
    with pytest.raises(NewerPythonError):
        check_python(text.encode(), "a.py")


HOSTILE = ["(" * 10**5, "-" * 10**5 + "1", "a" + ".b" * 10**5, "9" * 10**5, "[" * 199, "x\0y", "\\"]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:5])
@pytest.mark.parametrize("check", [check_python, check_json, check_yaml])
def test_hostile_files_end_soon(check, text: str) -> None:
    begin = time.process_time()
    assert len(str(refusal(check, text.encode(), "a"))) < 300
    assert time.process_time() - begin < 30  # a guard against no end, not a measure


@pytest.mark.parametrize(
    "text", ["%TAG !a{}! x\n", "&a{} ", "? ", "- - ", "{", "!<x> ", "*a ", "'"]
)
def test_hostile_yaml_ends_soon(text: str) -> None:
    begin = time.process_time()
    whole = "".join(text.format(n) if "{}" in text else text for n in range(25_000))
    refusal(check_yaml, whole.encode(), "")
    assert time.process_time() - begin < 30  # a guard against no end, not a measure


@given(st.binary(max_size=200))
@pytest.mark.parametrize("check", [check_python, check_json, check_yaml])
def test_any_bytes_are_judged(check, data: bytes) -> None:
    error = refusal(check, data, "a")
    assert error is None or error.line >= 0 <= error.column


@pytest.mark.parametrize(
    "text", ['{"a": NaN}', '{"a": 1, "a": 2}', "\ufeff[]", "[1e999]", "{{ x }}"]
)
def test_json_that_is_let_pass(text: str) -> None:
    check_json(text.encode(), "a.json")


@pytest.mark.parametrize("text", ["a: !x 1\n---\nb: 2", "a: {{ x }}\nb: [", "{% if x %}\n\ta"])
def test_yaml_that_is_let_pass(text: str) -> None:
    check_yaml(text.encode(), "a.yaml")
