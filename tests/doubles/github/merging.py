"""What becomes of pull requests when branches move: new heads, merges, ends."""

from __future__ import annotations

from . import events
from .world import Pull, Repository, World


def trial(world: World, repo: Repository, one: Pull) -> bool:
    """Whether it can be merged. ``merge_commit_sha`` is that of the trial while it is open."""
    made = repo.git.merged(one.base_sha, one.head_sha, parents=2, author="GitHub", message="Trial")
    if made:
        repo.git.set(f"refs/pull/{one.number}/merge", made)
    one.merge_commit_sha = made or None
    return bool(made)


def merge(world: World, repo: Repository, one: Pull, login: str, method: str) -> str:
    """Merge it; the commit that main is at then, empty where that is not possible."""
    base = repo.git.refs[f"refs/heads/{one.base_ref}"]
    if method == "rebase":
        made = repo.git.rebased(base, one.head_sha)
    else:
        title = f"{one.title} (#{one.number})"
        message = f"Merge pull request #{one.number}\n\n{one.title}" if method == "merge" else title
        parents = 2 if method == "merge" else 1
        made = repo.git.merged(base, one.head_sha, parents=parents, author=login, message=message)
    if not made:
        return ""
    _end(world, repo, one, login, made)
    moved(world, repo, f"refs/heads/{one.base_ref}", made, login)
    events.pull(world, repo, one, "closed", login)
    return made


def close(world: World, repo: Repository, one: Pull, login: str) -> None:
    """Close it without merging it."""
    one.state, one.closed_at = "closed", world.now()
    one.updated_at, one.merge_commit_sha = one.closed_at, None
    world.note("pull closed", repository=repo.slug, pull=one.number, by=login)
    events.pull(world, repo, one, "closed", login)


def moved(
    world: World, repo: Repository, ref: str, new: str, login: str, *, old: str | None = None
) -> None:
    """A branch moves, or did (then ``old`` says from where); all that follows from that."""
    if old is None:
        old = repo.git.refs.get(ref, "")
        repo.git.set(ref, new)
    if old == new:
        return
    world.note("push", repository=repo.slug, ref=ref, before=old, after=new, by=login)
    events.push(world, repo, ref, old, new, login)
    branch = ref.removeprefix("refs/heads/")
    for upstream, one in list(world.open_pulls(repo.slug, branch)):
        _head_moved(world, upstream, repo, one, new, login)
    for one in list(repo.pulls.values()):
        if one.state == "open" and one.base_ref == branch and new:
            _base_moved(world, repo, one, new, login)


def _head_moved(
    world: World, upstream: Repository, source: Repository, one: Pull, new: str, login: str
) -> None:
    if not new:
        close(world, upstream, one, login)
        return
    before, one.head_sha = one.head_sha, new
    one.updated_at, one.merge_commit_sha = world.now(), None
    upstream.git.take(source.git, new, f"refs/pull/{one.number}/head")
    events.pull(world, upstream, one, "synchronize", login, before=before, after=new)


def _base_moved(world: World, repo: Repository, one: Pull, new: str, login: str) -> None:
    """The base of an open pull request does not move with main; one that is on main was merged."""
    if repo.git.within(one.head_sha, new):
        _end(world, repo, one, login, new)
        events.pull(world, repo, one, "closed", login)


def _end(world: World, repo: Repository, one: Pull, login: str, commit: str) -> None:
    one.state, one.merged_by, one.merge_commit_sha = "closed", login, commit
    one.merged_at = one.closed_at = one.updated_at = world.now()
    repo.members.add(one.user.lower())
    world.note("pull merged", repository=repo.slug, pull=one.number, by=login, commit=commit)
