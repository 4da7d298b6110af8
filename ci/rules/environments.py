"""Rules on a step: the files of its software environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from posixpath import basename
from typing import TYPE_CHECKING

from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.registry import TOPOLOGY_FOLDERS, Registry, Step
from ci.rules.base import StepRule
from ci.rules.entries import entries, requirements
from ci.software import own_easyconfigs
from ci.software.pip_entries import read_lock
from ci.software.requirements import LOCK, PipRequirement, project_key
from ci.tosca.graph import IMAGE_CREATION

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_SPACK_LOCK = "spack.lock"


class InvalidEnvironment(StepRule):
    """The files of a software environment can be read, and every name in them is well-formed.

    ``eflows4hpc.yaml`` has the keys ``apt``, ``pip``, ``spack: {specs: …}`` and ``easybuild``;
    ``requirements.txt`` has one requirement a line, perhaps with hashes, and ``requirements.lock``
    the same with one version each. Names of Debian packages, requirements, specs and easyconfigs
    follow the syntax of their worlds; no options, no URLs.

    Hashes (``--hash=sha256:…``) protect from a package that was exchanged. As pip demands, all
    requirements have them or none has, and those that have name one version (``==``).
    """

    id = "environment/invalid"

    def check(self, subject: Step) -> Iterator[Finding]:
        """Try to read it."""
        yield from self.refused(lambda: subject.environment)


class NoEnvironmentFile(StepRule):
    """A step's folder describes the software environment of the step.

    Add an ``eflows4hpc.yaml`` to it, which may be empty if nothing is needed. For a step that a
    topology of its workflow builds an image of, ``image/no-environment`` says the same.
    """

    id = "environment/missing"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look for the files."""
        nested = any(name.split("/")[0] in TOPOLOGY_FOLDERS for name in subject.names)
        if nested or subject.environment_files:
            return  # a workflow in a workflow, which is another rule's finding
        if not _has_image(self.context.registry, subject):
            hint = f"add {subject.path}/eflows4hpc.yaml"
            yield self.on(subject.path, f"step {subject.name} has no software environment", hint)


class DoubleEnvironment(StepRule):
    """``eflows4hpc.yaml`` and ``spack.yaml`` do not both list specs: one of them would be stale.

    Keep the specs in one of the two files, best in ``eflows4hpc.yaml``.
    """

    id = "environment/double"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look for both."""
        registry = self.context.registry
        paths = sorted({place.path for place in entries(registry, subject, "spack")})
        if len(paths) > 1:
            first, second = paths[:2]
            section = registry.document(second).mapping(second)["spack"]
            message = f"lists specs, as {basename(first)} does"
            yield self.at(section.key("specs"), message, "keep the specs in one of them")


class UnpinnedRequirement(StepRule):
    """A requirement for pip says which versions are good: ``numpy==2.2.6``, or ``numpy>=2,<3``.

    Without a version pip takes the newest there is on the day when the image is built. The workflow
    then changes without anybody having changed it, and may stop working. Where there is a
    ``requirements.lock``, it has the versions, and this rule is silent.
    """

    id = "environment/unpinned-requirement"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look at every requirement."""
        if LOCK in subject.names:
            return
        for place, requirement in requirements(self.context.registry, subject):
            if not requirement.specifier:
                hint = f"{requirement.name}==<version>"
                yield self.at(place, f"{requirement.name} has no version", hint)


class UnknownEasyconfig(StepRule):
    """An easyconfig is one of the Software Catalogue, or one that EasyBuild itself has.

    Those of the catalogue are ``packages/<package>/<easyconfig>.eb``. Look whether the name is
    right, version and toolchain included. It is a warning, since another release of EasyBuild than
    the one that is known here may have it.
    """

    id = "environment/unknown-easyconfig"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look every name up, where the catalogue is known."""
        places = entries(self.context.registry, subject, "easybuild")
        catalog = self.context.catalog
        if catalog is None or not places:
            return
        packages = catalog.packages.values()
        known = {basename(path) for package in packages for path in package.easyconfig_files}
        for place in (place for place in places if place.text not in known):
            own = own_easyconfigs.names()
            if place.text not in own:
                near = nearest(place.text, known)
                near = near if near.startswith("did") else nearest(place.text, own)
                hint = near if near.startswith("did") else "add it to the catalogue"
                message = f"neither the catalogue nor EasyBuild has {place.text[:80]!r}"
                yield self.at(place, message, hint)


class OutdatedLock(StepRule):
    """``requirements.lock`` has every requirement of the step, in a version that is asked for.

    Images are built of the lock alone, so a requirement that was added or raised since is not met.
    Make the lock anew from ``requirements.txt``, on Linux with the Python of the image::

        pip-compile --generate-hashes --output-file requirements.lock requirements.txt
        uv pip compile --generate-hashes --output-file requirements.lock requirements.txt

    Requirements with a condition (``; python_version < "3.12"``) are not compared.
    """

    id = "environment/outdated-lock"

    def check(self, subject: Step) -> Iterator[Finding]:
        """Compare each requirement with what the lock has of its name."""
        registry = self.context.registry
        locked: dict[str, list[PipRequirement]] = {}
        for entry in _locked(registry, subject):
            locked.setdefault(entry.key, []).append(entry)
        for place, wanted in requirements(registry, subject) if LOCK in subject.names else ():
            entries_of = locked.get(project_key(wanted.name), [])
            if wanted.marker is not None or any(map(partial(_may_meet, wanted), entries_of)):
                continue
            versions = " and ".join(entry.version[:40] for entry in entries_of[:3])
            has = f"{wanted.name} {versions}, not {wanted.specifier}" if entries_of else ""
            message = f"{LOCK} has {has or f'no {wanted.name}'}"
            yield self.at(place, message, f"make {LOCK} anew, with pip-compile or uv")


class UnusedSpackLock(StepRule):
    """A ``spack.lock`` in a step's folder is not used.

    It is tied to the machine on which it was made: its operating system, its microarchitecture, its
    MPI. An image is made for the target of a site instead, so Spack resolves the specs anew for
    each target; the lock that this gives is kept with the image. Say in the specs what must not
    change (``hdf5@1.14.3 +mpi``), and remove the file.
    """

    id = "environment/unused-spack-lock"
    severity = Severity.WARNING

    def check(self, subject: Step) -> Iterator[Finding]:
        """Look for the file."""
        if _SPACK_LOCK in subject.names:
            path = f"{subject.path}/{_SPACK_LOCK}"
            hint = "write the versions into the specs, and remove the file"
            yield self.on(path, "is not used: it is tied to one machine's target", hint)


def _locked(registry: Registry, step: Step) -> tuple[PipRequirement, ...]:
    """What the lock has; nothing of one that cannot be read, which is another rule's finding."""
    path = f"{step.path}/{LOCK}"
    if LOCK in step.names:
        with suppress(EntryError):
            return registry.kept(
                f"lock {path}", lambda: tuple(read_lock(registry.read(path), path))
            )
    return ()


def _may_meet(wanted: Requirement, entry: PipRequirement) -> bool:
    """Whether an entry of a lock has a version that is wanted."""
    from packaging.version import InvalidVersion

    try:
        return wanted.specifier.contains(entry.version, prereleases=True)
    except InvalidVersion:  # after ===, which takes any text
        return True


def _has_image(registry: Registry, step: Step) -> bool:
    """Whether a topology of the step's workflow creates an image of the step."""
    workflow = registry.workflows.get(step.workflow)
    for path in workflow.topology_files if workflow else ():
        with suppress(EntryError):  # another rule's finding
            topology = registry.topology(path)
            for node in topology.nodes.values() if topology else ():
                names = [node.properties.get(k, Located(None)) for k in ("workflow", "step_id")]
                wanted = [step.workflow, step.name]
                if node.type == IMAGE_CREATION and [name.value for name in names] == wanted:
                    return True
    return False


RULES = (
    InvalidEnvironment,
    NoEnvironmentFile,
    DoubleEnvironment,
    UnpinnedRequirement,
    UnknownEasyconfig,
    OutdatedLock,
    UnusedSpackLock,
)
