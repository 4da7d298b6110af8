"""The embedded forge: bare git repositories with hooks.

A branch that is pushed is a pull request; a push of its commit to main is the merge. Who may do
what: ``hooks.forges.access``; without that file, whoever can write to the repository is trusted
with building (the operating system says who that is), and operators with the rest.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from git import Actor, Repo

from ci.errors import EntryError, SettingsError
from ci.git.refs import move_ref, read_ref
from ci.git.store import GitStore
from hooks.forges.mailbox import MAIN, Mailbox
from hooks.forges.seams import (
    VERDICT,
    Comment,
    DeploymentNotice,
    Ending,
    Proposal,
    Remark,
    Snapshot,
    Status,
)

SERVICE = Actor("hpcwaas", "hpcwaas@localhost")
CONFIG = {
    "receive": {
        "fsckObjects": "true",
        "maxInputSize": "200m",  # bytes of a pack as it is sent
        "unpackLimit": "1",  # packs stay packs: what was sent small does not unfold on the disk
        "denyNonFastForwards": "false",  # branches may be rewritten; the gate guards main
        "denyDeleteCurrent": "true",
        "advertisePushOptions": "true",
        "autogc": "false",
    },
    "transfer": {"fsckObjects": "true", "advertiseSID": "false"},
    "uploadpack": {"allowFilter": "true"},  # shallow and partial clones cost us less
    "core": {
        "logAllRefUpdates": "true",
        "bigFileThreshold": "1m",  # larger files are streamed, not held in memory
    },
    "gc": {"auto": "0"},
}
HOOKS = ("update", "post-receive")
_SHIMS = Path(__file__).parent.parent


Rights = Callable[[str, str], bool]
"""Whether a user has a right (``build``, ``merge``, ``deploy``) in this repository."""


class BareGitForge:
    """One bare repository on a local disk."""

    def __init__(self, repository: Path, access: Rights | None = None) -> None:
        if not (repository / "HEAD").is_file():
            raise SettingsError(
                f"{repository} is not a bare git repository",
                hint="`waas init` makes it; or correct `repositories:` in the settings",
            )
        self._store = GitStore(repository)
        self._access = access
        self.mailbox = Mailbox(repository)

    def look(self) -> Snapshot:
        """Main, and each branch with a commit that main lacks: those are the pull requests."""
        main = self._store.heads().get("main", "")
        if not main:
            return Snapshot("")
        ahead = self._store.heads(not_in=main)
        return Snapshot(main, tuple(Proposal(name, head) for name, head in sorted(ahead.items())))

    def fetch(self, *commits: str) -> GitStore:  # noqa: ARG002 all are here already
        """The repository itself."""
        return self._store

    def ending(self, number: int, head: str) -> Ending | None:  # noqa: ARG002
        """Merged if main has its head, since main only moves forward to validated commits."""
        main = self._store.heads().get("main", "")
        merged = bool(main) and self._store.is_ancestor(head, main)
        return Ending(merged, head if merged else "")

    def may(self, user: str, right: str) -> bool:
        """As the rights say; without any, whoever could push may build and merge."""
        if self._access is None:
            return bool(user)
        return self._access(user, right)

    def remarks(self, since: str) -> tuple[Sequence[Remark], str]:
        """None: people talk on our own page, which acts at once."""
        return (), since

    def show(self, status: Status) -> None:
        """Leave the verdict where the hooks look, and the commit at ``refs/pull/<n>/head``.

        All else is on our own page.
        """
        if status.name == VERDICT:
            ref = f"refs/pull/{status.pull}/head"
            move_ref(self._store.git_dir, ref, status.head, read_ref(self._store.git_dir, ref))
            told = ("head", "base", "state", "summary", "pull")
            self.mailbox.write_status(status.head, {n: getattr(status, n) for n in told})

    def forward_main(self, new: str, old: str, why: str) -> None:
        """Merge: move main from ``old`` to ``new``. Raises ``EntryError`` if it is elsewhere."""
        if not self._store.is_ancestor(old, new):
            raise EntryError(f"{new[:10]} does not contain {old[:10]}", hint="rebase it on main")
        move_ref(self._store.git_dir, MAIN, new, old, why=why)

    def upsert_comment(self, pull: int, comment: Comment) -> None:
        """Leave the report where the hooks look."""
        self.mailbox.write_comment(pull, comment.text)

    def label(self, pull: int, state: str) -> None:
        """Nothing: our own page shows it."""

    def show_deployment(self, notice: DeploymentNotice) -> None:
        """Nothing: our own page shows it."""

    def answer(self, remark: str, pull: int, *, accepted: bool) -> None:
        """Nothing: our own page shows it."""


def create(repository: Path, seed: Path, *, without: Iterable[str] = ()) -> None:
    """Make a bare repository whose main starts with the files of ``seed``. Idempotent.

    It appears whole: made beside its place, then renamed.
    """
    if (repository / "HEAD").is_file():
        install_hooks(repository)
        return
    repository.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=repository.parent, prefix=".new-") as folder:
        work, bare = Path(folder, "work"), Path(folder, "bare.git")
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", *without)
        shutil.copytree(seed, work, ignore=ignored)
        source = Repo.init(work, initial_branch="main")
        source.git.add("--all")
        source.index.commit("Start of the registry", author=SERVICE, committer=SERVICE)
        clone = source.clone(str(bare), bare=True)
        clone.delete_remote(clone.remote("origin"))
        install_hooks(bare)
        bare.rename(repository)


def install_hooks(repository: Path) -> None:
    """Write the hooks, which hand over to ``hooks.forges.git_hook``, and the mailbox.

    A push that comes meanwhile finds the gate of before or the new one, never none.
    """
    Mailbox(repository).make()
    folder = repository / "hooks"
    folder.mkdir(exist_ok=True)
    for name in HOOKS:
        shim = (_SHIMS / name).read_text(encoding="utf-8")
        part = folder / f".{name}.new"
        part.write_text(shim.replace("@PYTHON@", shlex.quote(sys.executable)), encoding="utf-8")
        part.chmod(0o755)
        part.replace(folder / name)
    for other in folder.iterdir():
        if other.name not in HOOKS:
            other.unlink()
    _configure(repository)


def _configure(repository: Path) -> None:
    with Repo(repository) as opened:
        with opened.config_reader("repository") as config:
            wanted = [
                (section, key, value)
                for section, values in CONFIG.items()
                for key, value in values.items()
                if str(config.get(section, key, fallback="")) != value
            ]
        if wanted:
            with opened.config_writer() as config:
                for section, key, value in wanted:
                    config.set_value(section, key, value)
