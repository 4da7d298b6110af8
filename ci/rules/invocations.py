"""Rules on invocations: the JSON files that say how PyCOMPSs calls a package."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import partial

from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located, nearest
from ci.rules.base import PackageRule
from ci.software.catalog import Package
from ci.software.invocation import (
    CONTAINER,
    DESCRIPTION,
    DIRECTIONS,
    ENGINES,
    GONE,
    PROGRAM,
    SECTIONS,
    STEP,
    TASK,
    TYPES,
    Invocation,
    Keys,
)

_EVERY_KEY = (
    frozenset().union(*(keys.known for keys in (*TYPES.values(), PROGRAM, STEP))) | GONE.keys()
)


class InvocationRule(PackageRule):
    """A rule on invocations that could be read."""

    def check(self, subject: Package) -> Iterator[Finding]:
        """Judge each."""
        for path in subject.invocation_files:
            try:
                invocation = subject.invocation(path)
            except EntryError:
                continue  # another rule's finding
            yield from self.judge(invocation)

    def judge(self, invocation: Invocation) -> Iterator[Finding]:
        """Yield what is wrong with the invocation."""
        raise NotImplementedError


class InvalidInvocation(PackageRule):
    """An invocation is JSON: well-formed, no key twice, and each section is a mapping.

    JSON has no comments and no comma after the last item, and its texts stand in double quotes.
    """

    id = "package/invalid-invocation"

    def check(self, subject: Package) -> Iterator[Finding]:
        """Try to read each."""
        for path in subject.invocation_files:
            yield from self.refused(partial(subject.invocation, path))


class InvocationType(InvocationRule):
    """An invocation has an ``execution.type`` that COMPSs knows.

    One of ``task``, ``workflow``, ``binary``, ``mpi``, ``mpmd_mpi``, ``multinode``, ``http`` and
    ``compss``. Without one COMPSs does not complain, but runs the Python body of the task instead.
    """

    id = "package/invocation-type"

    def judge(self, invocation: Invocation) -> Iterator[Finding]:
        """Look at the type."""
        kind = invocation.type
        if kind is None:
            hint = f'"execution": {{"type": …}}, one of {", ".join(TYPES)}'
            place = invocation.document
            if "type" in place.value:  # as it was before PyCOMPSs 3.0
                place, hint = place.key("type"), 'move it and "properties" into "execution": {…}'
            yield self.at(place, "execution.type is missing", hint)
        elif invocation.keys is None:
            hint = nearest(kind.text.lower(), TYPES)
            yield self.at(kind, f"unknown execution.type {kind.text[:80]!r}", hint)


class UnknownSection(InvocationRule):
    """An invocation has no other sections than those that COMPSs reads.

    They are ``execution``, ``parameters``, ``constraints``, ``container``, ``prolog`` and
    ``epilog``. COMPSs ignores all others without a word: with ``constraint`` a task runs with one
    CPU, wherever there is one.
    """

    id = "package/unknown-invocation-section"

    def judge(self, invocation: Invocation) -> Iterator[Finding]:
        """Compare the keys."""
        document = invocation.document
        if "type" in document.value and invocation.type is None:
            return  # the form before PyCOMPSs 3.0, which is one finding
        for name in document.value:
            if name not in (*SECTIONS, "$schema"):  # which editors look for
                message = f"COMPSs does not read the section {name[:80]!r}"
                yield self.at(document.key(name), message, nearest(name, SECTIONS))


class UnknownInvocationKey(InvocationRule):
    """A section has no other keys than those that COMPSs knows for its ``execution.type``.

    COMPSs writes a warning into the log of the job and goes on without the key: with ``proceses``
    an MPI program runs as one process. Keys that another type or version of COMPSs knows are a
    warning here as well.
    """

    id = "package/unknown-invocation-key"

    def judge(self, invocation: Invocation) -> Iterator[Finding]:
        """Compare the keys of all sections that have fixed ones."""
        if invocation.keys is not None:
            kind = str(invocation.execution.value["type"].text).lower()
            keys = Keys(("type",), tuple(invocation.keys.known))
            if kind in {"task", "workflow"}:
                keys = Keys(("type",))
            yield from self.compare(invocation.execution, f"execution of type {kind}", keys)
        for program in invocation.programs:
            yield from self.compare(program, "a program", PROGRAM)
        yield from self.compare(invocation.prolog, "prolog", STEP)
        yield from self.compare(invocation.epilog, "epilog", STEP)
        yield from self.compare(invocation.container, "container", CONTAINER)

    def compare(self, section: Located, what: str, keys: Keys) -> Iterator[Finding]:
        """The keys that a section should not have."""
        known = keys.known
        for name in section.value:
            if name in known or name.endswith("_layout"):
                continue
            level = Severity.WARNING if name in _EVERY_KEY else Severity.ERROR
            message = f"{what}: COMPSs does not know the key {name[:80]!r}"
            new = GONE.get(name, "")
            hint = f"did you mean {new!r}?" if new in known else nearest(name, known)
            yield self.at(section.key(name), message, hint, level)


class MissingInvocationKey(InvocationRule):
    """A section has the keys that COMPSs cannot do without.

    ``binary`` for the types ``binary``, ``prolog`` and ``epilog`` and each program of ``mpmd_mpi``;
    ``runner`` for ``mpi`` and ``mpmd_mpi``; ``service_name``, ``resource`` and ``request`` for
    ``http``; ``app_name`` for ``compss``; ``engine`` and ``image`` for ``container``.
    """

    id = "package/missing-invocation-key"

    def judge(self, invocation: Invocation) -> Iterator[Finding]:
        """Look for each."""
        if invocation.keys is not None:
            yield from self.demand(invocation.execution, "execution", invocation.keys)
        for program in invocation.programs:
            yield from self.demand(program, "a program", PROGRAM)
        for name, keys in (("prolog", STEP), ("epilog", STEP), ("container", CONTAINER)):
            given = invocation.document.value.get(name)
            if given is not None and given.is_mapping:
                yield from self.demand(getattr(invocation, name), name, keys)

    def demand(self, section: Located, what: str, keys: Keys) -> Iterator[Finding]:
        """The first key that a section should have and has not, under its old name either."""
        given = set(section.value)
        given |= {new for old, new in keys.old if old in given}
        missing = [name for name in keys.required if name not in given]
        near = difflib.get_close_matches(missing[0], given, n=1, cutoff=0.8) if missing else []
        if missing and not near:  # else the misspelt key is the finding
            yield self.at(section, f"{what} has no {missing[0]!r}", f'add "{missing[0]}": …')


class InvalidConstraint(InvocationRule):
    """Constraints are texts, whole numbers or lists: ``"computing_units": "4"``.

    COMPSs stops at any other kind of value, such as ``1.5``, ``null`` or a mapping. Fractions can
    be written as text; ``$VARIABLE`` in a text is taken from the environment of the job.
    """

    id = "package/invalid-constraint"

    def judge(self, invocation: Invocation) -> Iterator[Finding]:
        """Look at every value."""
        for name, value in invocation.constraints.value.items():
            if isinstance(value.value, float):
                message = (
                    f"COMPSs stops at the number {value.text[:40]} of constraint {name[:80]!r}"
                )
                yield self.at(value, message, f'write it as text: "{value.text[:40]}"')
            elif not isinstance(value.value, (str, int, list)):
                message = f"constraint {name[:80]!r} must be text or a whole number"
                yield self.at(value, f"{message}, not {value.kind}")


class UnknownContainerEngine(InvocationRule):
    """A container's ``engine`` is ``DOCKER``, ``SINGULARITY`` or ``UDOCKER``, in capitals.

    COMPSs has no others. Apptainer is called ``SINGULARITY`` here.
    """

    id = "package/unknown-container-engine"

    def judge(self, invocation: Invocation) -> Iterator[Finding]:
        """Look at the engine."""
        engine = invocation.container.value.get("engine")
        if engine is not None and engine.value not in ENGINES and "$" not in engine.text:
            same = {"APPTAINER": "SINGULARITY"}.get(engine.text.upper(), engine.text.upper())
            message = f"COMPSs has no container engine {engine.text[:80]!r}"
            yield self.at(engine, message, nearest(same, ENGINES))


class InvalidDirection(InvocationRule):
    """A parameter has a direction that COMPSs knows: ``IN``, ``FILE_OUT``, ``COLLECTION_INOUT``, …

    Or a mapping that describes it: ``{"type": "FILE_IN", "prefix": "--input="}``. COMPSs takes any
    other text for a value, and tasks do not wait for each other's files. ``returns`` is a number of
    values, a type of Python, or a ``{{parameter}}``.
    """

    id = "package/invalid-direction"

    def judge(self, invocation: Invocation) -> Iterator[Finding]:
        """Look at every parameter."""
        for name, value in invocation.parameters.value.items():
            if name == "returns":
                yield from self.returned(value)
            elif name not in TASK:
                yield from self.described(name, value)

    def returned(self, value: Located) -> Iterator[Finding]:
        """``returns``: how many values, or of which type."""
        count = type(value.value) is int and value.value >= 0
        if not (count or value.is_text or value.is_list or value.value is None):
            given = value.text if type(value.value) is int else value.kind
            yield self.at(value, f"returns must be a number of values or a type, not {given}")

    def described(self, name: str, value: Located) -> Iterator[Finding]:
        """A direction, or a mapping with one."""
        if value.is_mapping:
            for key in value.value:
                if key.lower() not in DESCRIPTION:
                    message = f"parameter {name[:80]!r}: COMPSs does not know the key {key[:80]!r}"
                    yield self.at(value.key(key), message, nearest(key, DESCRIPTION))
            types = [item for key, item in value.value.items() if key.lower() == "type"]
            for item in types:
                if item.is_text:
                    yield from self.described(name, item)
        elif not value.is_text or value.text not in DIRECTIONS:
            written = value.text[:80] if value.text else value.kind
            message = f"parameter {name[:80]!r} has no direction {written!r}"
            yield self.at(value, message, nearest(value.text.upper(), DIRECTIONS))


class UnknownParameter(InvocationRule):
    """``{{parameter}}`` is spelt as in ``parameters``.

    COMPSs puts the value of the function's argument in its place; what the function does not have
    makes the task fail. Arguments need not be listed (they are ``IN`` then), so this is a warning,
    given only where a listed parameter that is used nowhere has nearly the same name.
    """

    id = "package/unknown-parameter"
    severity = Severity.WARNING

    def judge(self, invocation: Invocation) -> Iterator[Finding]:
        """Compare each with the parameters that are listed."""
        listed = invocation.parameter_names()
        used = {name for name, _ in invocation.references()}
        unused = [name for name in listed if name not in used]
        said = set()
        for name, place in invocation.references():
            near = difflib.get_close_matches(name[:80], unused[:200], n=1, cutoff=0.75)
            if name not in listed and near and name not in said:
                said.add(name)
                message = f"there is no parameter {name[:80]!r}"
                yield self.at(place, message, f"did you mean {near[0]!r}?")


RULES = (
    InvalidInvocation,
    InvocationType,
    UnknownSection,
    UnknownInvocationKey,
    MissingInvocationKey,
    InvalidConstraint,
    UnknownContainerEngine,
    InvalidDirection,
    UnknownParameter,
)
