"""The bill of materials of an image, in CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/).

The same inventory gives the same bytes: the serial number is made from the content, the time is
``SOURCE_DATE_EPOCH``. Package URLs: https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from builder.supply.inventory import Inventory
from builder.supply.packages import DebianPackage, EasyBuildModule, PythonPackage, SpackPackage

_PROPERTY = "org.hpcwaas:"


def sbom(
    found: Inventory, *, name: str, version: str, digest: str, source_date_epoch: int
) -> bytes:
    """Return the bill of materials as JSON.

    Args:
        found: what is in the image.
        name: of the image: workflow and step.
        version: its content key.
        digest: of its OCI manifest (``sha256:…``).
        source_date_epoch: seconds, see https://reproducible-builds.org/specs/source-date-epoch.
    """
    image = Component(
        name=name,
        version=version,
        type=ComponentType.CONTAINER,
        bom_ref="image",
        purl=PackageURL("oci", None, name.rpartition("/")[2].lower(), digest),
        properties=_properties({"glibc": found.glibc, "oldest-kernel": found.kernel}),
    )
    bom = Bom(
        components=_distinct(_components(found)),
        metadata=BomMetaData(
            component=image, timestamp=datetime.fromtimestamp(source_date_epoch, UTC)
        ),
        serial_number=uuid.UUID(int=0, version=4),
    )
    bom.register_dependency(image, bom.components)
    text = JsonV1Dot6(bom).output_as_string()
    document = json.loads(text)
    hashed = hashlib.sha256(_canonical(document)).digest()
    document["serialNumber"] = uuid.UUID(bytes=hashed[:16], version=4).urn
    return _canonical(document)


def _canonical(document: object) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode("ascii")


def _components(found: Inventory) -> Iterable[Component]:
    system = found.system.get("ID", "")
    if system:
        release = found.system.get("VERSION_ID", "")
        yield Component(
            name=system,
            version=release or None,
            type=ComponentType.OPERATING_SYSTEM,
            bom_ref=f"os:{system}@{release}",
        )
    distribution = f"{system}-{found.system.get('VERSION_ID', '')}".rstrip("-")
    yield from (_debian(one, system or "debian", distribution) for one in found.debian)
    yield from (_python(one) for one in found.python)
    yield from (_spack(one) for one in found.spack)
    yield from (_easybuild(one) for one in found.easybuild)


def _debian(package: DebianPackage, system: str, distribution: str) -> Component:
    qualifiers = {"arch": package.architecture, "distro": distribution}
    place = ("deb", system, package.name, package.version)
    return _component(place, qualifiers, {"source": package.source})


def _python(package: PythonPackage) -> Component:
    place = ("pypi", "", package.name, package.version)
    made = _component(place, {}, {"path": package.path, "url": package.url})
    if package.license:
        made.licenses.add(LicenseFactory().make_from_string(package.license))
    return made


def _spack(package: SpackPackage) -> Component:
    properties = {
        "manager": "spack",
        "hash": package.hash,
        "target": package.target,
        "compiler": package.compiler,
        "namespace": package.namespace,
        "variants": " ".join(package.variants),
    }
    place = ("generic", "spack", package.name, package.version)
    return _component(place, {"spack_hash": package.hash}, properties)


def _easybuild(module: EasyBuildModule) -> Component:
    place = ("generic", "easybuild", module.name, module.version)
    return _component(place, {}, {"manager": "easybuild", "toolchain": module.toolchain})


def _component(
    place: tuple[str, str, str, str], qualifiers: dict[str, str], properties: dict[str, str]
) -> Component:
    """Return a component; one whose name (a stranger's text) fits no package URL has none."""
    kind, space, name, version = place
    try:
        purl = PackageURL(kind, space or None, name, version or None, qualifiers)
        reference = purl.to_string()
    except (ValueError, TypeError):
        purl, reference = None, f"{kind}:{space}/{name}@{version}"
    return Component(
        name=name,
        version=version or None,
        bom_ref=reference,
        purl=purl,
        properties=_properties(properties),
    )


def _properties(values: dict[str, str]) -> list[Property]:
    return [Property(name=_PROPERTY + name, value=value) for name, value in values.items() if value]


def _distinct(components: Iterable[Component]) -> list[Component]:
    """Return components with a reference of its own each: a package may be there twice."""
    count: dict[str, int] = {}
    made = []
    for component in components:
        reference = str(component.bom_ref.value)
        count[reference] = count.get(reference, 0) + 1
        if count[reference] > 1:
            component.bom_ref.value = f"{reference}#{count[reference]}"
        made.append(component)
    return made
