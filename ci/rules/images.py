"""Rules between a topology and the steps: images, commands and data that must be there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.registry import Step
from ci.rules.base import Context, TopologyOf, TopologyRule
from ci.tosca.functions import has_references, is_call
from ci.tosca.graph import IMAGE_CREATION, IMAGE_REQUIREMENT, image_creation_of
from ci.tosca.library import library_of
from ci.tosca.model import NodeTemplate, Topology

_STAGE_IN = "hpcwaas.nodes.StageIn"
_REGISTRY = "registry:"
_ON_SITE = ("org.eflows4hpc.pycompss.plugin.nodes.PyCOMPSJob", "pycomps.ansible.nodes.PyCOMPSJob")
_ENV_SCRIPT = re.compile(r"--env_script=(/\S+)")


class UnknownImageStep(TopologyRule):
    """An image creation names a workflow of the registry and a step of it, at this commit."""

    id = "image/unknown-step"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look ``workflow`` and ``step_id`` up."""
        workflows = self.context.registry.workflows
        for node in subject.topology.nodes.values():
            workflow, step = _names_of(node)
            if workflow is None or step is None:
                continue
            if workflow.text not in workflows:
                hint = nearest(workflow.text, workflows)
                yield self.at(workflow, f"there is no workflow {workflow.text!r}", hint)
            elif step.text not in workflows[workflow.text].steps:
                hint = nearest(step.text, workflows[workflow.text].steps)
                message = f"workflow {workflow.text} has no step {step.text!r}"
                yield self.at(step, message, hint)


class NoEnvironment(TopologyRule):
    """A step that an image is created of describes its software environment.

    One of ``eflows4hpc.yaml``, ``spack.yaml`` and ``requirements.txt`` in the step's folder; an
    empty ``eflows4hpc.yaml`` says that nothing is needed.
    """

    id = "image/no-environment"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look for the files."""
        for node in subject.topology.nodes.values():
            workflow, place = _names_of(node)
            step = _step(self.context, workflow, place)
            if step is not None and place is not None and not step.environment_files:
                hint = f"add {step.path}/eflows4hpc.yaml"
                yield self.at(place, f"step {step.name} has no software environment", hint)


class JobWithoutImage(TopologyRule):
    """A job names the image that it runs in.

    Its requirement ``img_transfer`` leads to a ``DLSDAGImageTransfer``, whose requirement leads to
    an ``ImageCreation`` with ``workflow`` and ``step_id``. A PyCOMPSs job may name a
    ``container_image`` of the site instead; without either it runs what is installed on the site,
    which is a warning: it will run there only.
    """

    id = "image/job-without-image"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Follow the requirements of every job."""
        for node in _jobs(subject.topology):
            image = _inner(node, "application", "container_opts", "container_image")
            if image is None and image_creation_of(subject.topology, node) is None:
                hint = f"add `{IMAGE_REQUIREMENT}` to a DLSDAGImageTransfer of an ImageCreation"
                level = Severity.WARNING if node.type in _ON_SITE else Severity.ERROR
                yield self.at(node.place, f"job {node.name} has no image", hint, level)


class MissingCommand(TopologyRule):
    """A job's command, the script it is given and its ``--env_script`` are in the image's step.

    The image holds the step's folder at ``/<step>/``. Where a whole folder is missing it may come
    from a package or from ``post_inst.sh``: then it is a warning.
    """

    id = "image/missing-command"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every path up that begins with the step's name."""
        for node in _jobs(subject.topology):
            creation = image_creation_of(subject.topology, node)
            step = _step(self.context, *_names_of(creation)) if creation else None
            for path, place in _image_paths(node) if step else ():
                yield from self._missing(path, place, step)

    def _missing(self, path: str, place: Located, step: Step | None) -> Iterator[Finding]:
        if step is None or not path.startswith(f"/{step.name}/"):
            return
        inside = posixpath.normpath(path.removeprefix(f"/{step.name}/"))
        if inside in step.names:
            return
        folder = posixpath.dirname(inside)
        present = folder and any(name.startswith(f"{folder}/") for name in step.names)
        level = Severity.ERROR if present else Severity.WARNING
        hint = nearest(inside, step.names) if present else f"expected at {step.path}/{inside}"
        yield self.at(place, f"step {step.name} has no file {inside!r}", hint, level)


class MissingData(TopologyRule):
    """A stage-in of ``registry:<path>`` finds its file (or folder) in the workflow's folder."""

    id = "data/missing-file"

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look every path up."""
        workflow = subject.workflow
        start = len(workflow.path) + 1
        names = [entry.path[start:] for entry in workflow.entries if entry.is_file]
        for node in (n for n in subject.topology.nodes.values() if n.type == _STAGE_IN):
            source = node.properties.get("source")
            if source is None or not source.text.startswith(_REGISTRY) or has_references(source):
                continue
            path = source.text.removeprefix(_REGISTRY).rstrip("/")
            if path not in names and not any(name.startswith(f"{path}/") for name in names):
                message = f"workflow {workflow.name} has no file {path!r}"
                yield self.at(source, message, nearest(path, names))


class InsecureTls(TopologyRule):
    """``insecure_tls: true`` accepts any certificate, so passwords go to whoever answers."""

    id = "image/insecure-tls"
    severity = Severity.WARNING

    def check(self, subject: TopologyOf) -> Iterator[Finding]:
        """Look for the property."""
        for node in subject.topology.nodes.values():
            value = node.properties.get("insecure_tls")
            if value is not None and value.value is True:
                message = f"node {node.name} does not check the server's certificate"
                yield self.at(value, message, "insecure_tls: false")


def _names_of(node: NodeTemplate) -> tuple[Located | None, Located | None]:
    """Workflow and step of an image creation, where both are written out."""
    names = [node.properties.get(key) for key in ("workflow", "step_id")]
    if node.type != IMAGE_CREATION or any(
        name is None or not name.is_text or is_call(name) or has_references(name) for name in names
    ):
        return None, None
    return names[0], names[1]


def _step(context: Context, workflow: Located | None, step: Located | None) -> Step | None:
    if workflow is None or step is None:
        return None
    owner = context.registry.workflows.get(workflow.text)
    return owner.steps.get(step.text) if owner else None  # else another rule's finding


def _jobs(topology: Topology) -> Iterator[NodeTemplate]:
    library = library_of(topology)
    for node in topology.nodes.values():
        if (
            library.has_node_type(node.type)
            and IMAGE_REQUIREMENT in library.node_type(node.type).requirements
        ):
            yield node


def _inner(node: NodeTemplate, first: str, *keys: str) -> Located | None:
    value = node.properties.get(first)
    for key in keys:
        value = value.value.get(key) if value is not None and value.is_mapping else None
    return value


def _image_paths(node: NodeTemplate) -> Iterator[tuple[str, Located]]:
    command = _inner(node, "application", "command")
    arguments = _inner(node, "application", "arguments")
    # the script that an interpreter is given is its first argument
    script = arguments.value[:1] if arguments is not None and arguments.is_list else []
    for value in (command, *script):
        if value is not None and value.is_text and not has_references(value):
            yield value.text, value
    options = _inner(node, "submission_params", "extra_compss_opts")
    if options is not None and options.is_text:
        for path in _ENV_SCRIPT.findall(options.text):
            if "$" not in path:
                yield path, options


RULES = (
    UnknownImageStep,
    NoEnvironment,
    JobWithoutImage,
    MissingCommand,
    MissingData,
    InsecureTls,
)
