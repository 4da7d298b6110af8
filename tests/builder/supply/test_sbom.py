from __future__ import annotations

import json

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.supply.inventory import Inventory
from builder.supply.packages import DebianPackage, EasyBuildModule, PythonPackage, SpackPackage
from builder.supply.sbom import sbom

DEBIAN = DebianPackage("libc6", "2.36-9+deb12u9", "amd64", "glibc", True)
FOUND = Inventory(
    system={"ID": "debian", "VERSION_ID": "12"},
    debian=(DEBIAN,),
    python=(
        PythonPackage("Foo.Bar", "1.0", "MIT", "", "usr/lib"),
        PythonPackage("Foo.Bar", "1.0", "a licence of our own", "https://x.org/y", "opt"),
    ),
    spack=(SpackPackage("zlib", "1.3", "abcd", "zen3", "gcc@12", "builtin", ("+a", "~b")),),
    easybuild=(EasyBuildModule("zlib", "1.3-GCC-12.3", "GCC/12.3"),),
    glibc="2.36",
    kernel="3.2.0",
)


def make(found: Inventory, epoch: int = 1) -> bytes:
    digest = "sha256:" + "1" * 64
    return sbom(found, name="flow/Step", version="ab", digest=digest, source_date_epoch=epoch)


def errors(text: bytes) -> object:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(text.decode())


def test_it_is_valid_and_names_each_package_by_its_url() -> None:
    assert errors(make(FOUND)) is None
    document = json.loads(make(FOUND))
    found = {component["bom-ref"]: component for component in document["components"]}
    assert sorted(found) == [
        "os:debian@12",
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u9?arch=amd64&distro=debian-12",
        "pkg:generic/easybuild/zlib@1.3-GCC-12.3",
        "pkg:generic/spack/zlib@1.3?spack_hash=abcd",
        "pkg:pypi/foo.bar@1.0",
        "pkg:pypi/foo.bar@1.0#2",
    ]
    spack = found["pkg:generic/spack/zlib@1.3?spack_hash=abcd"]["properties"]
    assert {"name": "org.hpcwaas:variants", "value": "+a ~b"} in spack
    assert found["pkg:pypi/foo.bar@1.0"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert {"name": "org.hpcwaas:url", "value": "https://x.org/y"} in [
        value for one in found.values() for value in one.get("properties", [])
    ]
    assert document["metadata"]["timestamp"] == "1970-01-01T00:00:01+00:00"
    depends = next(one for one in document["dependencies"] if one["ref"] == "image")
    assert depends["dependsOn"] == sorted(found)


def test_the_same_image_gives_the_same_bytes_and_another_does_not() -> None:
    assert make(FOUND) == make(FOUND)
    other = Inventory(system=FOUND.system, debian=FOUND.debian)
    numbers = {json.loads(text)["serialNumber"] for text in (make(FOUND), make(other))}
    assert len(numbers) == 2


def test_an_image_without_packages_has_one_too() -> None:
    assert errors(make(Inventory())) is None


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
NAME = TEXT.filter(str.strip)


@settings(max_examples=25, deadline=None)
@given(
    debian=st.builds(DebianPackage, NAME, TEXT, TEXT, TEXT),
    python=st.builds(PythonPackage, NAME, TEXT, TEXT | st.text("(MIT ANDOR)+", max_size=900), TEXT),
    spack=st.builds(SpackPackage, NAME, TEXT, TEXT, TEXT, TEXT, TEXT),
    easybuild=st.builds(EasyBuildModule, NAME, TEXT, TEXT),
    system=TEXT,
)
def test_no_names_in_an_image_make_it_fail(debian, python, spack, easybuild, system) -> None:
    found = Inventory({"ID": system}, (debian,), (python,), (spack,), (easybuild,))
    assert errors(make(found)) is None


@pytest.mark.parametrize("text", ["(" * 1000, "MIT AND " * 120, "-" * 1000])
def test_licences_are_strangers_text(text: str) -> None:
    assert errors(make(Inventory(python=(PythonPackage("x", "1", text),)))) is None
