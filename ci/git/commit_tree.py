"""The tree of a commit, read as far as somebody looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ci.errors import EntryError
from ci.git.objects import ObjectReader, TreeItem
from ci.trees import Entry, Gate, check_count, check_depth, check_readable

_LONGEST_PATH = 1000  # letters: Linux has 4096 bytes, and files are written into folders of ours

_Folder = Mapping[str, TreeItem]


class CommitTree:
    """The tree of one commit: a ``ci.trees.Tree``. ``id`` is the commit.

    Folders are read when somebody asks for what is in them, and equal ones once. Comparing two
    commits looks only into folders that differ.
    """

    def __init__(self, commit: str, objects: ObjectReader) -> None:
        self.id = commit
        self._objects = objects
        self._folders: dict[str, _Folder] = {}  # by path; "" is the root
        self._by_id: dict[str, _Folder] = {}
        self._listed: dict[str, tuple[Entry, ...]] = {}
        self._sizes: dict[str, int] = {}
        self._load({"": f"{commit}^{{tree}}"})

    def names(self, folder: str = "") -> tuple[str, ...]:
        """The names right in a folder, sorted; those of folders end in ``/``."""
        items = self._folder(folder).values()
        return tuple(sorted(item.name + "/" * item.is_folder for item in items))

    def entries(self, folder: str = "") -> tuple[Entry, ...]:
        """Every file, symbolic link and submodule below a folder, by path."""
        if folder not in self._listed:
            found = sorted(self._below(folder))
            self._measure(item for _, item in found)
            gate = Gate()
            self._listed[folder] = tuple(gate.passed(self._entry(p, item)) for p, item in found)
        return self._listed[folder]

    def find(self, path: str) -> Entry | None:
        """The entry at a path; None for a folder, or if there is nothing."""
        item = self._item(path)
        if item is None or item.is_folder:
            return None
        self._measure([item])
        return self._entry(path, item)

    def read(self, path: str) -> bytes:
        """The content of a regular file."""
        item = self._item(path)
        check_readable(self.find(path), path)
        try:
            return self._objects.blob(item.id if item else "")
        except EntryError as error:
            raise EntryError(error.message, path=path) from None

    def differs(self, other: CommitTree) -> tuple[str, ...]:
        """Paths whose content or kind is not the same in both, sorted."""
        changed: list[str] = []
        todo, folders = [""], 0
        while todo:
            deeper: list[str] = []
            for folder in todo:
                for path, items in _differences(folder, self._known(folder), other._known(folder)):
                    changed += [path] if any(not item.is_folder for item in items) else []
                    deeper += [path] if any(item.is_folder for item in items) else []
                check_count(len(changed) + len(deeper) + folders)
            self._load_those_of(deeper)
            other._load_those_of(deeper)
            todo, folders = deeper, folders + len(deeper)
        return tuple(sorted(changed))

    def item(self, path: str) -> TreeItem | None:
        """What is at a path, a folder too; None if there is nothing."""
        return self._item(path)

    def same(self, other: CommitTree, path: str) -> bool:
        """Whether a path is the same file in both, or in neither."""
        return self._item(path) == other._item(path)

    def _below(self, folder: str) -> list[tuple[str, TreeItem]]:
        self._folder(folder)
        found: list[tuple[str, TreeItem]] = []
        todo, folders = [folder], 0
        while todo:
            deeper: dict[str, str] = {}
            for above in todo:
                for path, item in _items(above, self._known(above)):
                    if item.is_folder:
                        deeper[path] = item.id
                    else:
                        found.append((path, item))
                check_count(len(found) + len(deeper) + folders)
            for path in deeper:
                check_depth(path)
            self._load(deeper)
            todo, folders = list(deeper), folders + len(deeper)
        return found

    def _item(self, path: str) -> TreeItem | None:
        parent, _, name = path.rpartition("/")
        return self._folder(parent).get(name)

    def _known(self, folder: str) -> _Folder:
        return self._folders.get(folder, {})

    def _folder(self, path: str) -> _Folder:
        """What is right in a folder; nothing if there is no such folder."""
        known, at = self._folders[""], ""
        for part in path.split("/") if path else ():
            item = known.get(part)
            if item is None or not item.is_folder:
                return {}
            at = f"{at}/{part}" if at else part
            self._load({at: item.id})
            known = self._folders[at]
        return known

    def _load_those_of(self, paths: Iterable[str]) -> None:
        """Read the folders among these paths, whose parents are known."""
        wanted = {}
        for path in paths:
            parent, _, name = path.rpartition("/")
            item = self._known(parent).get(name)
            if item is not None and item.is_folder:
                check_depth(path)
                wanted[path] = item.id
        self._load(wanted)

    def _load(self, wanted: Mapping[str, str]) -> None:
        """Read folders, path to id, as far as that has not been done."""
        new = {path: name for path, name in wanted.items() if path not in self._folders}
        ids = [name for name in dict.fromkeys(new.values()) if name not in self._by_id]
        for name, items in zip(ids, self._objects.trees(ids), strict=True):
            self._by_id[name] = {item.name: item for item in items}
        self._folders |= {path: self._by_id[name] for path, name in new.items()}

    def _measure(self, items: Iterable[TreeItem]) -> None:
        self._sizes |= self._objects.sizes(
            item.id for item in items if not item.is_submodule and item.id not in self._sizes
        )

    def _entry(self, path: str, item: TreeItem) -> Entry:
        if len(path) > _LONGEST_PATH:
            raise EntryError("a path of the tree is too long", path=path[:80])
        return Entry(path, item.mode, self._sizes.get(item.id, 0))


def _items(folder: str, items: _Folder) -> Iterable[tuple[str, TreeItem]]:
    start = f"{folder}/" if folder else ""
    return ((start + name, item) for name, item in items.items())


def _differences(
    folder: str, mine: _Folder, theirs: _Folder
) -> Iterable[tuple[str, list[TreeItem]]]:
    start = f"{folder}/" if folder else ""
    for name in sorted(mine.keys() | theirs.keys()):
        one, other = mine.get(name), theirs.get(name)
        if one != other:
            yield start + name, [item for item in (one, other) if item is not None]
