"""Rules on whether scripts and data can be read at all by the programs that they are for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ci.content import text
from ci.content.binaries import suffix
from ci.content.shell_source import check_shell
from ci.content.well_formed import NewerPythonError, check_json, check_python, check_yaml
from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.rules.base import ContentRule, SourceFile

_Check = Callable[[bytes, str], None]


class DoesNotParse(ContentRule):
    """Shell and Python scripts have no syntax errors.

    Otherwise a step ends in its first second, after it has waited in the queue. Scripts are parsed
    (``bash -n``, Python's own parser) and never run. Code of Python 2 is an error too; what only a
    newer Python than ours may understand is a warning.
    """

    id = "scripts/does-not-parse"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Parse it, unless another rule says already why that fails."""
        check = _parser_of(subject)
        if check is None or text.has_reader(subject.path) or _is_spoiled(subject):
            return
        try:
            check(subject.data, subject.path)
        except NewerPythonError as error:
            yield Finding.of(error, self.id, Severity.WARNING)
        except EntryError as error:
            yield Finding.of(error, self.id, self.severity)


class NotJson(ContentRule):
    """Files called ``*.json`` and notebooks (``*.ipynb``) are JSON.

    A comma after the last item, a comment or single quotes are what goes wrong most often; none of
    them is JSON. Files in hidden folders (of editors) are not judged.
    """

    id = "contents/not-json"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Try to read it."""
        if suffix(subject.path) in {"json", "ipynb"} and _is_ours(subject):
            yield from self.refused(lambda: check_json(subject.data, subject.path))


class NotYaml(ContentRule):
    """Files called ``*.yaml`` or ``*.yml`` are YAML.

    Those that describe the workflow are read by stricter rules; here are settings of the programs
    that a step runs. Tabs for indentation and a ``:`` in text without quotes are what goes wrong
    most often. Templates (with ``{{``) are not judged.
    """

    id = "contents/not-yaml"
    severity = Severity.WARNING

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Try to read it."""
        if suffix(subject.path) in {"yaml", "yml"} and _is_ours(subject):
            yield from self.refused(lambda: check_yaml(subject.data, subject.path))


def _parser_of(subject: SourceFile) -> _Check | None:
    if subject.is_binary:
        return None
    if suffix(subject.path) == "py":
        return check_python
    return check_shell if text.is_shell_script(subject.path, subject.data) else None


def _is_ours(subject: SourceFile) -> bool:
    hidden = subject.path.startswith(".") or "/." in subject.path
    return not (hidden or subject.is_binary or text.has_reader(subject.path))


def _is_spoiled(subject: SourceFile) -> bool:
    """Whether another rule reports what keeps a script from being read."""
    data, path = subject.data, subject.path
    shell = text.is_shell_script(path, data)
    if shell and (text.has_mark(data) or text.ends_lines_with_cr(data)):
        return True
    if text.not_utf8(path, data):
        return True
    hidden = text.hidden(path, data, subject.text)
    return any(hidden) or any(text.turned(subject.text))


RULES: tuple[type[ContentRule], ...] = (DoesNotParse, NotJson, NotYaml)
