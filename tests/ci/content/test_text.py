"""Names, hidden characters, attributes and kinds of files: what rules on hygiene look at."""

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.content.binaries import is_data, is_documentation, is_program_name, program_kind, suffix
from ci.content.git_attributes import risky_attributes
from ci.content.names import folded, is_git_folder, mixed_word, shown, unportable
from ci.content.text import (
    called,
    has_reader,
    hidden,
    is_shell_script,
    not_utf8,
    own_paths,
    turned,
)


@pytest.mark.parametrize(
    "name",
    [
        ".git",
        ".GIT",
        ".Git ",
        ".git.",
        ".git. .",
        "git~1",
        "GIT~1",
        ".g\u200cit",
        "\ufeff.git",
        ".git::$INDEX_ALLOCATION",
        ".git\\hooks",
        ".\u206fgit",
    ],
)
def test_names_that_are_git_s_own(name: str) -> None:
    assert is_git_folder(name)


@pytest.mark.parametrize("name", [".gitignore", "git", ".github", "a.git", "git~2", "", ".gitkeep"])
def test_names_that_are_not_git_s_own(name: str) -> None:
    assert not is_git_folder(name)


@pytest.mark.parametrize("name", ["con", "NUL", "aux.py", "com1.txt", "LPT9", "prn .x", "Con.a.b"])
def test_devices_of_windows(name: str) -> None:
    assert "Windows" in unportable(name)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "Ärger.txt",
        "a b.md",
        "console.py",
        "com10.txt",
        "auxiliary",
        ".hidden",
        "a~",
        "it's",
        "日本語",
        "Δx.py",
        "a+b=c,d@e%f#g",
        "(1)",
        "nul_test",
        "_",
        "A-1",
    ],
)
def test_names_that_work(name: str) -> None:
    assert unportable(name) == ""
    assert mixed_word(name) == ""


@given(st.text())
def test_any_name_is_judged(name: str) -> None:
    unportable(name)
    is_git_folder(name)
    shown(mixed_word(name))
    assert folded(folded(name)) == folded(name) == folded(unicodedata.normalize("NFD", name))


@pytest.mark.parametrize("word", ["p\u0430th", "\u0421ase", "x_\u0415nd1", "\u039fne", "\u0455tep"])
def test_letters_that_only_look_latin(word: str) -> None:
    assert mixed_word(f"a {word}\n") in word
    assert "LETTER" in shown(mixed_word(word))


@pytest.mark.parametrize(
    "text",
    ["Δx αmax μm dθ σ_xx ∂u", "файл", "данные_mesh", "x86-архитектура", "日本go", "café", "λ1"],
)
def test_letters_of_other_scripts_are_right(text: str) -> None:
    assert mixed_word(text) == ""


@given(st.text())
def test_any_text_is_looked_at(text: str) -> None:
    data = text.encode("utf-8", "replace")
    lines = text.split("\n")
    for path in ("a.py", "a.md", "a"):
        for line, column, character in (*turned(text), *hidden(path, data, text)):
            assert lines[line - 1][column - 1] == character
            assert called(character).isascii()
        for line, column, found in own_paths(path, data, text):
            assert lines[line - 1][column - 1 :].startswith(found)
    list(risky_attributes(text))


@pytest.mark.parametrize(
    "text", ["a\tb\f\r\n", "👩‍💻 می‌خواهم 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "soft\u00adhyphen", "\ufeffa", "no\u00a0break", "a\r"]
)
def test_what_prose_may_have(text: str) -> None:
    assert list(hidden("a.md", text.encode(), text)) == []


@pytest.mark.parametrize("text", ["a\u200db", "a\ufeff", "a\x1b[0m", "a\rb", "\x7f", "a\x85", "\0"])
def test_what_code_may_not_have(text: str) -> None:
    assert len(list(hidden("a.py", text.encode(), text))) == 1


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("cd /home/alice/x", "/home/alice"),
        ("x = '/gpfs/projects/a/b.h5'", "/gpfs/projects/a/b.h5"),
        ("#SBATCH -o /scratch/bob/o", "/scratch/bob/o"),
        ("#!/home/alice/bin/python", "/home/alice"),
        ("x=/Users/alice", "/Users/alice"),
        (r"p = 'C:\\Users\\Alice\\x'", r"C:\\Users\\Alice"),
        ("PATH=$PATH:/home/alice/bin", "/home/alice"),
    ],
)
def test_paths_of_somebody(line: str, found: str) -> None:
    assert [text for _, _, text in own_paths("a.sh", line.encode(), line)] == [found]


@pytest.mark.parametrize(
    "line",
    [
        "cd $HOME/x; cd /home/$USER/x; cd /home/${USER}; cd /home/{user}/x; cd /home/<you>/",
        "# for example /home/alice/x",
        "url = https://example.org/home/alice https://gpfs.org/scratch/x/y",
        "cd $PROJECT/scratch/x; ls a/home/b ~/home/x ${D}/gpfs/x",
        "/scratch /gpfs/ /home/ /opt/x /usr/local",
        "cd /home/user/x /home/username/y",
        "s3://scratch/a {x}/scratch/y",
    ],
)
def test_paths_of_nobody(line: str) -> None:
    assert list(own_paths("a.sh", line.encode(), line)) == []


@pytest.mark.parametrize(
    "text",
    [
        "/gpfs" * 200000,
        "/home/" * 170000,
        "/scratch/a" * 100000,
        "\u202e" * 300000,
        "\u200b\n" * 250000,
        "\u0430a" * 300000,
        "\r" * 10**6,
        "C:\\Users\\" * 90000,
    ],
    ids=lambda text: repr(text[:6]),
)
def test_hostile_text_is_looked_at_in_no_time(text: str) -> None:
    begin = time.process_time()
    data = text.encode()
    list(turned(text))
    list(hidden("a.py", data, text))
    list(own_paths("a.py", data, text))
    mixed_word(text)
    assert time.process_time() - begin < 30  # a guard against no end, not a measure


@pytest.mark.parametrize(
    ("path", "data", "line"),
    [
        ("a.py", b"x = 1\ny = '\xfc'\n", 2),
        ("a.py", b"#!/usr/bin/python\n# -*- coding: latin-1 -*-\nx = '\xfc'\n", 0),
        ("a.py", b"# coding: utf-8\n\xfc", 2),
        ("a.md", "ü".encode(), 0),
        ("a.dat", b"\xfc", 0),
        ("a.txt", b"\0\xfc", 0),
        ("a.sh", b"a\n\0", 2),
    ],
)
def test_text_that_is_not_utf8(path: str, data: bytes, line: int) -> None:
    assert not_utf8(path, data) == line


@pytest.mark.parametrize(
    ("path", "data", "is_shell"),
    [
        ("a.sh", b"", True),
        ("a", b"#!/bin/bash -l\n", True),
        ("a", b"#!/usr/bin/env bash\n", True),
        ("a", b"#!/usr/bin/env -S sh -e\n", True),
        ("a", b"\xef\xbb\xbf#!/bin/sh\r\n", True),
        ("a.sh", b"#!/bin/zsh\n", False),
        ("a.sh", b"#!/usr/bin/env python3\n", False),
        ("job.slurm", b"#SBATCH -n 1\n", True),
        ("a", b"echo\n", False),
    ],
)
def test_shell_scripts_are_told(path: str, data: bytes, is_shell: bool) -> None:
    assert is_shell_script(path, data) is is_shell


@pytest.mark.parametrize(
    "path",
    [
        "w/tosca/a/b.yml",
        "w/data/a.yaml",
        "w/waas.yaml",
        "w/s/eflows4hpc.yaml",
        "validation.yaml",
        "packages/a/package.py",
        "packages/a/a.eb",
        "packages/a/a.json",
        "w/s/requirements.txt",
    ],
)
def test_files_that_other_rules_read(path: str) -> None:
    assert has_reader(path)


@pytest.mark.parametrize(
    "path",
    [
        "a.yaml",
        "w/a.yaml",
        "w/s/a.yaml",
        "w/s/t/eflows4hpc.yaml",
        "docs/tosca/a.yaml",
        "README.md",
        "packages/a/src/package.py",
        "w/data/a.json",
        ".github/tosca/a.yml",
        "packages/a/b.yaml",
        "",
    ],
)
def test_files_that_no_other_rule_reads(path: str) -> None:
    assert not has_reader(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("*.h5 filter=lfs -text", ["filter=lfs"]),
        ("a ident export-subst", ["ident", "export-subst"]),
        ("[attr]x filter=a", ["filter=a"]),
        ('"a \\" b" filter=a', ["filter=a"]),
        ("* merge=mine diff=python diff=exif", ["merge=mine", "diff=exif"]),
        ("# * filter=a\n* text=auto eol=lf -filter !ident diff -diff merge=union\n\n*.py", []),
    ],
)
def test_attributes_that_change_files(text: str, found: list[str]) -> None:
    assert [attribute.text for attribute in risky_attributes(text)] == found


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a/libx.so.1.2", "library"),
        ("a.tar.gz", "archive"),
        ("a.SO", "library"),
        ("a.jar", "program"),
        ("a.sif", ""),
        ("a.so.py", ""),
        ("so", ""),
        (".o", ""),
        ("a.npz", ""),
        ("x.gz", ""),
    ],
)
def test_programs_are_told_by_name(path: str, kind: str) -> None:
    assert kind in is_program_name(path)
    assert bool(kind) == bool(is_program_name(path))


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF\x02",
        b"MZ" + b"\x00" * 60 + b"PE\x00\x00",
        b"\xca\xfe\xba\xbe",
        b"PK\x03\x04",
        b"\x1f\x8b\x08",
        b"\xa7\r\r\n\x00\x00\x00\x00" + b"x" * 8,
        b"x" * 257 + b"ustar",
        b"!<arch>\n",
    ],
)
def test_programs_are_told_by_content(data: bytes) -> None:
    assert program_kind(data)


def test_kinds_of_files() -> None:
    assert (suffix("a/b.C.TXT"), suffix(".env"), suffix("a.d/b")) == ("txt", "", "")
    assert is_data("a.vtu", b"")
    assert is_data("a", b"\x89PNG")
    assert not is_data("a.pkl", b"")
    assert is_documentation("a/README")
    assert is_documentation("a.ipynb")
    assert not is_documentation("requirements-dev.txt")
    assert not is_documentation("CMakeLists.txt")
