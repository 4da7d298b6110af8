"""Rules on packages take whatever is written in recipes, easyconfigs and invocations."""

import json

from corpus_cases import Files
from hypothesis import given, settings
from hypothesis import strategies as st

from ci.software.invocation import SECTIONS, TYPES
from ci.validate import validate

VALUES = st.sampled_from(
    ["'1.0'", "1", "None", "x", "['a', 1]", "('a',)", "{'name': 'a'}", "{1: x}", "f'{x}'", "-x"]
)
DIRECTIVES = st.sampled_from(
    [
        *("version", "depends_on", "variant", "provides", "license", "extends", "patch", "url"),
        *("git", "name", "toolchain", "sources", "dependencies", "checksums", "patches"),
        *("versionsuffix", "homepage", "has_code", "virtual"),
    ]
)
CALLS = st.builds("    {}({}, sha256={}, commit={})".format, DIRECTIVES, VALUES, VALUES, VALUES)
SETS = st.builds("    {} = {}".format, DIRECTIVES, VALUES)
BASES = st.lists(st.sampled_from(["Package", "a.B", "x[0]", "Package", "*y", "k=1"]), max_size=3)
RECIPES = st.builds(
    lambda bases, lines: f"class A({', '.join(bases)}):\n" + "\n".join([*lines, "    pass"]),
    BASES,
    st.lists(CALLS | SETS, max_size=6),
)
EASYCONFIGS = st.lists(SETS.map(str.strip), max_size=8).map("\n".join)

SCALARS = st.sampled_from([None, True, 0, -1, 0.5, "", "mpi", "FILE_IN", "{{mesh}}", "$X"])
KEYS = st.sampled_from(
    [*SECTIONS, *TYPES, "type", "programs", "args", "engine", "image", "returns", "mesh", "é"]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(recipe=RECIPES, easyconfig=EASYCONFIGS, invocation=JSON)
def test_any_package_gives_a_report(recipe: str, easyconfig: str, invocation) -> None:
    files = {
        "repo.yaml": json.dumps(invocation),
        "cfg/packages.yaml": json.dumps(invocation),
        "packages/a/package.py": recipe,
        "packages/a/a.eb": easyconfig,
        "packages/a/a.json": json.dumps(invocation),
    }
    report = validate(Files({path: text.encode() for path, text in files.items()}))
    assert {finding.rule.split("/")[0] for finding in report.findings} <= {
        "package",
        "catalog",
        "path",
        "files",
        "contents",
        "text",
    }
    assert all(finding.message for finding in report.findings)
