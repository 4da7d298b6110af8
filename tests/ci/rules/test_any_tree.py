"""Whatever a tree holds, there is a report: spoiled good files, and files of any bytes."""

from __future__ import annotations

from corpus_cases import Files, good_tree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ci.report import RENDERERS
from ci.rules import all_rules
from ci.validate import validate

REGISTRY, CATALOG = good_tree("registry"), good_tree("catalog")
PIECES = [
    *(b"\0 \n\n \t - : { } [ ] & * ! | > ' \" # % @ ` \\ , ? ~ ${ $( {{ }} << *a &a".split(b" ")),
    b"\xff", "\u202e".encode(), b"!!python/name:os", b"- - - ", b"a: b: ", b"1e999", b"0x", b"null",
    b"true", b"[]", b"{}", b"''", b"@", b"^", b"%", b"=", b"+", b"../", b"/", b"-", b"--", b"\r\n",
]  # fmt: skip
NAMES = [
    *("w/tosca/t.yaml", "w/waas.yaml", "w/s/eflows4hpc.yaml", "w/s/spack.yaml", "w/data/d.yaml"),
    *(
        "w/s/requirements.txt",
        "w/s/post_inst.sh",
        "w/s/src/a.py",
        "types/t.yaml",
        "validation.yaml",
    ),
    *("w/s/n.ipynb", ".gitattributes", ".gitmodules", "w/README.md"),
]
PACKAGE_NAMES = ["x/package.py", "x/x.eb", "x/x.json"]


@st.composite
def spoiled(draw: st.DrawFn, good: dict[str, bytes]) -> dict[str, bytes]:
    """A good tree in which one file has a piece cut out, put in twice, or replaced."""
    path = draw(st.sampled_from(sorted(good)))
    data = good[path]
    start = draw(st.integers(0, len(data)))
    end = draw(st.integers(start, min(len(data), start + 40)))
    piece = draw(
        st.one_of(st.sampled_from(PIECES), st.binary(max_size=8), st.just(data[start:end]))
    )
    return {**good, path: data[:start] + piece * draw(st.integers(0, 3)) + data[end:]}


def judged(files: dict[str, bytes], *, is_catalog: bool) -> None:
    other = Files(CATALOG)
    if is_catalog:
        report = validate(Files(files), before=other, registry=Files(REGISTRY))
    else:
        report = validate(Files(files), catalog=other, sites=["alpha"])
    for finding in report.findings:
        assert finding.message
        assert "Traceback" not in finding.message
    for render in RENDERERS.values():
        render(report).encode()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(spoiled(REGISTRY))
def test_a_spoiled_registry(files: dict[str, bytes]) -> None:
    judged(files, is_catalog=False)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(spoiled(CATALOG))
def test_a_spoiled_catalogue(files: dict[str, bytes]) -> None:
    judged(files, is_catalog=True)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=200), max_size=5))
def test_files_of_any_bytes(files: dict[str, bytes]) -> None:
    judged(files, is_catalog=False)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(PACKAGE_NAMES), st.binary(max_size=200), max_size=3))
def test_packages_of_any_bytes(files: dict[str, bytes]) -> None:
    judged({f"packages/{name}": data for name, data in files.items()}, is_catalog=True)


def test_findings_have_rules_that_there_are() -> None:
    broken = dict.fromkeys(REGISTRY, b"\xff\x00")
    known = {rule.id for rule in all_rules()} | {"entry/unreadable"}
    report = validate(Files(broken), catalog=Files(CATALOG))
    assert {finding.rule for finding in report.findings} <= known
