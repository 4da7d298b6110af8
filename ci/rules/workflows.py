"""Rules on a workflow as a whole: its documents, settings and topologies."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ci.documents import YAML_SUFFIXES
from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import nearest
from ci.registry import TOPOLOGY_FOLDERS, Workflow
from ci.rules.base import WorkflowRule
from ci.tosca.inputs import check_inputs
from ci.workflow_settings import NAME


class UnreadableDocument(WorkflowRule):
    """Every YAML document of a workflow's ``tosca`` and ``data`` folders is well-formed.

    That is: UTF-8, one document per file, no key twice, no tags but those of plain data, not
    nested more than 60 deep, and not more than 100,000 values once aliases are written out.
    """

    id = "workflow/unreadable-document"

    def check(self, subject: Workflow) -> Iterator[Finding]:
        """Try to read each."""
        start = f"{subject.path}/data/"
        data = (e.path for e in subject.entries if e.is_file and e.path.startswith(start))
        for path in (*subject.topology_files, *(p for p in data if p.endswith(YAML_SUFFIXES))):
            yield from self.refused(partial(self.context.registry.document, path))


class InvalidTopology(WorkflowRule):
    """A topology has the shape that TOSCA gives it, in a dialect that is known.

    Dialects: ``alien_dsl_3_0_0``, ``tosca_simple_yaml_1_0`` to ``tosca_simple_yaml_1_3``.
    """

    id = "topology/invalid"

    def check(self, subject: Workflow) -> Iterator[Finding]:
        """Try to read each document that has a ``topology_template``."""
        for path in subject.topology_files:
            try:
                self.context.registry.document(path)
            except EntryError:
                continue  # another rule's finding
            yield from self.refused(partial(self.context.registry.topology, path))


class NoTopology(WorkflowRule):
    """A workflow has a topology: without one it can be neither deployed nor run.

    It lies in ``<workflow>/tosca/`` (or is ``<workflow>/topology.yaml``). A workflow is a folder at
    the top of the registry: one inside another folder is not found.
    """

    id = "workflow/no-topology"

    def check(self, subject: Workflow) -> Iterator[Finding]:
        """Report a workflow whose documents hold no topology."""
        if not subject.topologies:
            nested = _nested(subject)
            hint = f"add {subject.path}/tosca/topology.yaml"
            hint = f"move {nested} to the top: workflows are not nested" if nested else hint
            yield self.on(subject.path, f"workflow {subject.name} has no topology", hint)


class UnusableName(WorkflowRule):
    """A workflow's folder name is used in addresses and on sites.

    Letters, digits, ``.``, ``_`` and ``-``; at most 63 of them, beginning with a letter or digit.
    """

    id = "workflow/unusable-name"

    def check(self, subject: Workflow) -> Iterator[Finding]:
        """Judge the names of the workflow and of its steps."""
        named = [(subject.path, subject.name), *((s.path, s.name) for s in subject.steps.values())]
        for path, name in named:
            if not NAME.fullmatch(name):
                hint = "letters, digits, `.`, `_`, `-`; at most 63"
                yield self.on(path, f"{name[:80]!r} cannot be a name", hint)


class InvalidSettings(WorkflowRule):
    """``waas.yaml`` has the keys and values that its documentation lists, and no others."""

    id = "workflow/invalid-settings"

    def check(self, subject: Workflow) -> Iterator[Finding]:
        """Try to read it."""
        yield from self.refused(lambda: subject.settings)


class UnknownSite(WorkflowRule):
    """The sites that ``waas.yaml`` names exist: else a merge would deploy nowhere."""

    id = "workflow/unknown-site"

    def check(self, subject: Workflow) -> Iterator[Finding]:
        """Compare with the sites of the service, where they are known."""
        for place in subject.settings.places if self.context.sites is not None else ():
            if place.text not in (self.context.sites or ()):
                hint = nearest(place.text, self.context.sites or ())
                yield self.at(place, f"there is no site {place.text!r}", hint)


class SmokeTestInputs(WorkflowRule):
    """The smoke test's inputs are those of the workflow, with values of their types."""

    id = "workflow/smoke-test-inputs"

    def check(self, subject: Workflow) -> Iterator[Finding]:
        """Check the inputs as an execution would."""
        test = subject.settings.smoke_test
        if test is None:
            return
        topology = subject.topology
        try:
            check_inputs(topology.workflows[topology.main_workflow], test.inputs)
        except EntryError as error:
            path = f"{subject.path}/waas.yaml"
            yield self.on(path, f"smoke_test: {error.message}", error.hint)


class UnknownTestedStep(WorkflowRule):
    """The steps that ``waas.yaml`` lists under ``images`` are steps of the workflow.

    The tests below a name are run in the image of the step of this name, so under a wrong name they
    would never be run at all. Correct the name, or take the entry away if the step is gone.
    """

    id = "workflow/unknown-tested-step"

    def check(self, subject: Workflow) -> Iterator[Finding]:
        """Look every name up."""
        for place in subject.settings.image_places:
            if place.text not in subject.steps:
                message = f"workflow {subject.name} has no step {place.text[:80]!r}"
                yield self.at(place, message, nearest(place.text, subject.steps))


class NoMaintainers(WorkflowRule):
    """Somebody is named in ``waas.yaml`` who can be asked about the workflow.

    Only said where there is a ``waas.yaml`` at all.
    """

    id = "workflow/no-maintainers"
    severity = Severity.WARNING

    def check(self, subject: Workflow) -> Iterator[Finding]:
        """Look for ``maintainers``."""
        path = f"{subject.path}/waas.yaml"
        if any(e.path == path for e in subject.entries) and not subject.settings.maintainers:
            yield self.on(path, "names no maintainers", "maintainers: [name]")


def _nested(workflow: Workflow) -> str:
    """A folder inside that looks like a workflow: it has a folder of topologies."""
    for entry in workflow.entries:
        folders = entry.path.split("/")[:-1]
        for depth in range(2, len(folders)):
            if folders[depth] in TOPOLOGY_FOLDERS:
                return "/".join(folders[:depth])
    return ""


RULES = (
    UnreadableDocument,
    InvalidTopology,
    NoTopology,
    UnusableName,
    InvalidSettings,
    UnknownSite,
    SmokeTestInputs,
    UnknownTestedStep,
    NoMaintainers,
)
