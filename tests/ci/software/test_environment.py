import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from ci.software.environment import SoftwareEnvironment, read_environment

STEP = "minimal_workflow/wordcount"


def read(**files: str) -> SoftwareEnvironment:
    """Keys are file names with __ for the dot."""
    contents = {name.replace("__", "."): text.encode() for name, text in files.items()}
    return read_environment(contents, STEP)


def refused(**files: str) -> EntryError:
    with pytest.raises(EntryError) as caught:
        read(**files)
    return caught.value


def test_reads_every_file_of_a_step() -> None:
    assert read(
        eflows4hpc__yaml="""
            apt: [grace, libfoo-dev=1.2-3]
            spack:
                specs:
                    - compss
                    - kratos@9.4 apps=LinearSolversApplication,RomApplication
            pip: [graphviz]
            easybuild: [HDF5-1.14.0-gompi-2023a.eb]
        """,
        requirements__txt="# tools\nnumpy >= 1.26  # fast\n\nrequests[socks]\r\n",
        post_inst__sh="#!/bin/sh\n",
        env__sh="export X=1\n",
        src__main__py="",
    ) == SoftwareEnvironment(
        apt=("grace", "libfoo-dev=1.2-3"),
        pip=("graphviz", "numpy>=1.26", "requests[socks]"),
        spack=("compss", "kratos@9.4 apps=LinearSolversApplication,RomApplication"),
        easybuild=("HDF5-1.14.0-gompi-2023a.eb",),
        post_install="post_inst.sh",
        env_script="env.sh",
    )


@pytest.mark.parametrize("name", ["eflows4hpc.yaml", "eflows4hpc.yml", "spack.yaml", "spack.yml"])
def test_both_spellings_of_the_suffix_are_read(name: str) -> None:
    found = read_environment({name: b"spack:\n  specs:\n  - compss\n"}, STEP)
    assert found.spack == ("compss",)


def test_a_spec_in_two_files_counts_once() -> None:
    text = "spack: {specs: [compss, zlib]}"
    assert read(eflows4hpc__yaml=text, spack__yaml=text).spack == ("compss", "zlib")


@pytest.mark.parametrize("text", ["", "# nothing\n", "apt:\n", "spack:\n", "spack: {specs: }\n"])
def test_nothing_is_a_software_environment(text: str) -> None:
    assert read(eflows4hpc__yaml=text) == SoftwareEnvironment()


def test_an_error_says_where() -> None:
    error = refused(eflows4hpc__yaml="apt:\n  - grace\n  - 'Bad Name'\n")
    assert (error.path, error.line, error.column) == (f"{STEP}/eflows4hpc.yaml", 3, 5)
    error = refused(requirements__txt="six\n\n  six ==\n")
    assert (error.path, error.line, error.column) == (f"{STEP}/requirements.txt", 3, 3)


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("apt: grace", 1, "list"),
        ("- apt", 1, "mapping"),
        ("apt:\n- 3", 2, "text"),
        ("apt:\n- {a: b}", 2, "text"),
        ("pip: []\npips: []", 2, "did you mean 'pip'"),
        ("apt: []\napt: []", 2, "twice"),
        ("spack: [compss]", 1, "mapping"),
        ("spack:\n  specs: []\n  view: true", 3, "view"),
        ("apt: [", 1, "YAML"),
        ("apt: []\n---\napt: []", 2, "YAML"),
        ("apt: !!python/object/apply:os.system [id]", 1, "list"),
        ("apt: [!!python/name:os.system x]", 1, "text"),
        ("\n[" + "[" * 5000, 1, "deeply"),
        ("apt: [\x01]", 1, "YAML"),
    ],
)
def test_wrong_shapes_are_named(text: str, line: int, word: str) -> None:
    error = refused(eflows4hpc__yaml=text)
    assert error.line == line
    assert word in str(error)


def test_two_spellings_of_one_file_are_ambiguous() -> None:
    assert "both" in str(refused(eflows4hpc__yaml="", eflows4hpc__yml=""))


def test_text_must_be_utf8_and_small() -> None:
    with pytest.raises(EntryError, match="UTF-8") as caught:
        read_environment({"requirements.txt": b"six\n\xff"}, STEP)
    assert caught.value.line == 2
    with pytest.raises(EntryError, match="larger"):
        read_environment({"eflows4hpc.yaml": b"#" * 10_000_000}, STEP)


HOSTILE = [
    "a;id",
    "$(id)",
    "`id`",
    "a b",
    "--option",
    "-o=x",
    "a\nb",
    "a\tb",
    "a\u2028b",
    "'",
    '"',
    "a|b",
    "a>b;c",
    "../x",
    "",
    "a\\",
]


@pytest.mark.parametrize("kind", ["apt", "pip", "easybuild"])
@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_names_are_refused(kind: str, value: str) -> None:
    error = refused(eflows4hpc__yaml=f"{kind}: [{json.dumps(value)}]")
    assert error.line == 1


@pytest.mark.parametrize("value", ["a;id", "$(id)", "-f", "a\nb", "'x'", "^a", "/abc", "a|b", ""])
def test_hostile_specs_are_refused(value: str) -> None:
    refused(eflows4hpc__yaml=f"spack: {{specs: [{json.dumps(value)}]}}")


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "--index-url https://example.org",
        "-e .",
        "six @ file:///etc/passwd",
        "six @ https://example.org/six.whl",
        "git+https://example.org/six",
        "./local",
        "https://example.org/six.whl",
        "six --hash=sha256:00",
        "six\x0b-r x",
    ],
)
def test_requirements_name_released_packages_only(line: str) -> None:
    assert refused(requirements__txt=line).line == 1


@pytest.mark.parametrize("name", ["g++", "libstdc++6", "python3.11", "0ad"])
def test_debian_names_are_taken(name: str) -> None:
    assert read(eflows4hpc__yaml=f"apt: ['{name}']").apt == (name,)


@pytest.mark.parametrize("name", ["grace-", "a", "Grace", "grace=", "grace/sid", "grace:arm64"])
def test_what_apt_would_take_for_something_else_is_refused(name: str) -> None:
    refused(eflows4hpc__yaml=f"apt: ['{name}']")


@given(st.dictionaries(st.sampled_from(["eflows4hpc.yaml", "requirements.txt"]), st.binary()))
def test_any_bytes_give_a_value_or_an_entry_error(files: dict[str, bytes]) -> None:
    try:
        found = read_environment(files, STEP)
    except EntryError:
        return
    for value in found.apt + found.pip + found.spack + found.easybuild:
        assert value.isprintable()
        assert not value.startswith("-")
