"""Rules on the files of a tree: what kinds of them there may be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ci.content.binaries import is_program_name, program_kind
from ci.content.names import is_git_folder
from ci.findings import Finding, Severity
from ci.rules.base import FilesRule
from ci.trees import MAX_READ, Entry

_LARGE = 5 * 1024 * 1024  # bytes
_PARTS_OF_GIT = frozenset({"head", "objects", "refs", "commondir"})


class SymbolicLink(FilesRule):
    """A registry holds no symbolic links: where one points to is decided by whoever reads it.

    On a build host or a site it may lead to any file there. Copy the file, or keep it in one place
    and name it there.
    """

    id = "files/symbolic-link"
    optional = False

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Report every symbolic link."""
        for entry in subject:
            if entry.is_symlink:
                yield self.on(entry.path, "is a symbolic link", "put the file itself here")


class Submodule(FilesRule):
    """A registry holds no submodules: their content is not in the commit that is reviewed.

    Neither does it hold a ``.gitmodules``, which tells git to fetch from addresses of its own. Put
    the files here, or name a release of the other repository in the software environment.
    """

    id = "files/submodule"
    optional = False

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Report every submodule, and files that declare some."""
        submodules = [e for e in subject if not e.is_file and not e.is_symlink]
        for entry in submodules:
            yield self.on(entry.path, "is a submodule", "put the files themselves here")
        for entry in subject if not submodules else ():
            if entry.is_file and entry.path.casefold().split("/")[-1] == ".gitmodules":
                yield self.on(entry.path, "declares submodules", "remove it")


class NestedRepository(FilesRule):
    """No folder in a registry is a git repository of its own, or could be taken for one.

    Git runs programs that a repository's configuration names (hooks, file system monitors). A
    folder called ``.git`` in another spelling (``.GIT``, ``git~1``), or one that holds ``HEAD``
    with ``objects`` or ``commondir``, would bring such a configuration to everybody who works in
    it. Remove the folder; the files of the other repository can be added without it.
    """

    id = "files/nested-repository"
    optional = False

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Look for git's folder by name, and for one that is laid out like it."""
        reported: set[str] = set()
        for entry in subject:
            for folder in _repositories(entry.path):
                if folder not in reported and self._is_repository(folder):
                    reported.add(folder)
                    yield self.on(folder, "is a git repository inside the registry", "remove it")

    def _is_repository(self, folder: str) -> bool:
        if is_git_folder(folder.rpartition("/")[2]):
            return True
        names = {name.casefold() for name in self.context.registry.tree.names(folder)}
        return "head" in names and bool({"objects/", "commondir"} & names)


class TooLarge(FilesRule):
    """A file has at most 32 MiB; above 5 MiB it is a warning, since every clone carries it.

    Data belongs into a data catalogue or on a web server, and is staged in.
    """

    id = "files/too-large"

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Report large files."""
        for entry in subject:
            if entry.size > _LARGE:
                level = Severity.ERROR if entry.size > MAX_READ else Severity.WARNING
                message = f"has {entry.size / 2**20:.1f} MiB"
                yield self.on(entry.path, message, "stage it in instead", level)


class ExecutableBinary(FilesRule):
    """A registry holds sources: no compiled programs, libraries or archives.

    Nobody can review what a binary does, and one that was built on one machine rarely runs on
    another. Programs are built from their sources when the image is built: put them into a package
    of the Software Catalogue, or compile them in ``post_inst.sh``. An archive is unpacked first.
    """

    id = "files/executable-binary"

    def check(self, subject: Sequence[Entry]) -> Iterator[Finding]:
        """Look at names, and at the beginning of files that may be run or have no suffix."""
        for entry in subject:
            if entry.is_file and (kind := self._kind(entry)):
                hint = "put the sources here, or make a package of it"
                yield self.on(entry.path, f"is {kind}", hint)

    def _kind(self, entry: Entry) -> str:
        if kind := is_program_name(entry.path):
            return kind
        name = entry.path.rpartition("/")[2]
        if entry.size <= MAX_READ and (entry.is_executable or "." not in name):
            return program_kind(self.context.registry.tree.read(entry.path))
        return ""


def _repositories(path: str) -> Iterator[str]:
    """Folders that this path makes suspicious: git's own, and those that hold parts of one."""
    parts = path.split("/")
    for index, part in enumerate(parts):
        if is_git_folder(part):
            yield "/".join(parts[: index + 1])
            return
        if part.casefold() in _PARTS_OF_GIT:
            yield "/".join(parts[:index])


RULES = (SymbolicLink, Submodule, NestedRepository, TooLarge, ExecutableBinary)
