"""Rules on the text that files hold, whatever they are for."""

from __future__ import annotations

from collections.abc import Iterator

from ci.content import text
from ci.content.binaries import is_data, is_documentation, is_program_name, program_kind
from ci.content.git_attributes import risky_attributes
from ci.content.names import mixed_word, shown
from ci.content.python_source import parse_python
from ci.documents import load
from ci.errors import EntryError
from ci.findings import Finding, Severity
from ci.located import Located
from ci.rules.base import ContentRule, SourceFile


class Bidirectional(ContentRule):
    """No text has control characters that change the direction in which it is shown.

    With them, code reads differently from what is run ("Trojan Source", CVE-2021-42574): a comment
    may seem to end where it does not. Remove the character; letters of Arabic and Hebrew need none.
    """

    id = "text/direction-control"
    optional = False

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Report each line that has one."""
        for line, column, character in text.turned(subject.text):
            place = Located(None, subject.path, line, column)
            message = f"has {text.called(character)}, which changes the order of what is shown"
            yield self.at(place, message, "remove the character")


class HiddenCharacter(ContentRule):
    r"""No text has characters that are not shown: control characters, and ones without width.

    They come with copying from web pages and terminals. A program takes them for part of a name or
    a value, and nobody sees why it fails; control characters also change what a terminal shows.
    Tabs and form feeds are allowed. In documentation this is a warning, and characters that join
    letters and emojis are right. ``\x1b`` for a terminal's colours is a warning too: write it out.
    """

    id = "text/hidden-character"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Report each line that has one."""
        if is_data(subject.path, subject.data) or _is_foreign(subject):
            return
        found = list(text.hidden(subject.path, subject.data, subject.text))
        if found and _is_refused(subject):
            return  # another rule's finding
        level = self.severity if text.is_code(subject.path, subject.data) else Severity.WARNING
        for line, column, character in found:
            place = Located(None, subject.path, line, column)
            message = f"has {text.called(character)}, which is not shown"
            coloured = Severity.WARNING if character == "\x1b" else level
            yield self.at(place, message, "remove the character", coloured)


class LookAlike(ContentRule):
    """No word of code mixes Latin letters with ones of another script that only look like them.

    ``pаth`` with a Cyrillic ``а`` is another name than ``path``, although nobody can see it. Type
    the word again. Greek letters as in ``Δx`` or ``μm``, which look like themselves, are fine.
    """

    id = "text/look-alike"
    severity = Severity.WARNING

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Look at code, scripts and settings."""
        if subject.text.isascii() or not text.is_code(subject.path, subject.data):
            return
        for number, line in enumerate(subject.lines, 1):
            if word := mixed_word(line):
                place = Located(None, subject.path, number, line.index(word) + 1)
                message = f"a word has letters that only look Latin: {shown(word)}"
                yield self.at(place, message, "type the word again")


class NotUtf8(ContentRule):
    """Code, settings and documentation are text in UTF-8.

    Programs stop at a byte that is not, or show something else than what was written. Save the file
    as UTF-8. For documentation this is a warning.
    """

    id = "text/not-utf-8"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Look for the first byte that is wrong."""
        if text.has_reader(subject.path):
            return  # another rule's finding
        if line := text.not_utf8(subject.path, subject.data):
            level = self.severity if text.must_be_utf8(subject.path) else Severity.WARNING
            place = Located(None, subject.path, line)
            yield self.at(place, "not text in UTF-8", "save the file as UTF-8", level)


class ByteOrderMark(ContentRule):
    """A script begins with its first character, not with a byte order mark.

    Some editors on Windows put three bytes before everything. Then ``#!`` is not at the beginning,
    and the system does not know what to run the script with. Save it as "UTF-8 without BOM".
    """

    id = "scripts/byte-order-mark"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Look at the first bytes of scripts."""
        if not text.has_mark(subject.data):
            return
        interpreted = subject.data[3:5] == b"#!"
        if interpreted or text.is_shell_script(subject.path, subject.data):
            place = Located(None, subject.path, 1, 1)
            yield self.at(place, "begins with a byte order mark", "save it without one")


class WindowsLineEnds(ContentRule):
    r"""The lines of a script end as on Linux (LF), not as on Windows (CR LF).

    Otherwise the system looks for a program called ``bash\r``, and every command gets ``\r`` as
    a part of its last argument. Run ``dos2unix`` on the file, or set your editor to LF.
    """

    id = "scripts/windows-line-ends"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Look at shell scripts, and at the first line of every other script."""
        shell = text.is_shell_script(subject.path, subject.data)
        if not shell and not subject.data.startswith(b"#!"):
            return
        line = text.ends_lines_with_cr(subject.data)
        if line == 1 or (shell and line):
            place = Located(None, subject.path, line)
            message = "lines end with CR LF, which Linux does not understand"
            yield self.at(place, message, f"run `dos2unix {subject.path.rpartition('/')[2]}`")


class AbsolutePath(ContentRule):
    r"""No path in code or settings belongs to one user or one machine.

    ``/home/<user>``, ``/gpfs/…``, ``/lustre/…``, ``/scratch/…`` and ``C:\Users`` do not exist
    elsewhere, so the workflow runs on one site and for one person only. Make it an input of the
    topology or an environment variable, stage the data in, or write a path relative to the step.
    Documentation, data and the catalogue's ``cfg/`` are not judged.
    """

    id = "contents/absolute-path"
    severity = Severity.WARNING

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Look at code, scripts and settings."""
        path = subject.path
        if path.startswith("cfg/") or "/data/" in path or is_documentation(path):
            return
        if text.is_code(path, subject.data):
            for line, column, found in text.own_paths(path, subject.data, subject.text):
                place = Located(None, path, line, column)
                message = f"{found[:80]} exists on one machine or for one user only"
                yield self.at(place, message, "make it an input, or a path relative to the step")


class RewritingAttributes(ContentRule):
    """``.gitattributes`` does not make git hand out other bytes than the commit has.

    With ``filter``, ``ident``, ``export-subst`` or ``working-tree-encoding`` a file on disk is not
    what was reviewed, and is another one for everybody whose git is set up differently (with
    ``filter=lfs`` it is not in the commit at all). Drivers for ``merge`` and ``diff`` call programs
    that others do not have, which is a warning. Remove the attribute; large data is staged in.
    """

    id = "files/rewriting-attributes"

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Read files that are called ``.gitattributes``."""
        if subject.path.rpartition("/")[2].casefold() != ".gitattributes":
            return
        for found in risky_attributes(subject.text):
            place = Located(None, subject.path, found.line, found.column)
            if found.rewrites:
                yield self.at(place, f"{found.text!r} changes what files hold", "remove it")
            else:
                message = f"{found.text!r} calls a program that others do not have"
                yield self.at(place, message, "remove it", Severity.WARNING)


class Binary(ContentRule):
    """Files are text that can be reviewed, or data of a known format.

    Pictures, papers and data (PNG, PDF, HDF5, NetCDF, NumPy, VTK and many more, and everything in
    ``data/``) are fine while they are small. Of anything else nobody can see what it does: put
    its source here instead. Python's pickles run code when they are read.
    """

    id = "files/binary"
    severity = Severity.WARNING

    def check(self, subject: SourceFile) -> Iterator[Finding]:
        """Look for NUL bytes in what is no data."""
        path, data = subject.path, subject.data
        if not subject.is_binary or "/data/" in path or is_data(path, data):
            return
        if text.has_reader(path) or text.must_be_utf8(path):
            return  # another rule's finding
        if not is_program_name(path) and not _may_be_program(subject):
            kind = program_kind(data) or "no text, and no data of a known format"
            hint = "put its source here, or stage it in"
            yield self.on(path, kind if kind.startswith("no") else f"is {kind}", hint)


def _may_be_program(subject: SourceFile) -> bool:
    """Whether the rule on programs has something to say."""
    plain = "." in subject.path.rpartition("/")[2] and not subject.entry.is_executable
    return not plain and bool(program_kind(subject.data))


def _is_refused(subject: SourceFile) -> bool:
    """Whether a reader says already that the file cannot be read."""
    if not text.has_reader(subject.path):
        return False
    read = parse_python if subject.path.endswith((".py", ".eb")) else load
    try:
        read(subject.data, subject.path)
    except EntryError:
        return True
    return False


def _is_foreign(subject: SourceFile) -> bool:
    """Whether a file is data or text of another encoding, in which bytes mean something else."""
    if subject.is_binary or text.is_code(subject.path, subject.data):
        return subject.is_binary
    return "\ufffd" in subject.text


RULES: tuple[type[ContentRule], ...] = (
    Bidirectional,
    HiddenCharacter,
    LookAlike,
    NotUtf8,
    ByteOrderMark,
    WindowsLineEnds,
    AbsolutePath,
    RewritingAttributes,
    Binary,
)
