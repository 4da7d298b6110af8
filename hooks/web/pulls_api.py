"""Pull requests over HTTP and as pages: report, plan, builds, changes, and the merge button."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request
from sqlalchemy import Select, select
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as Answer

from ci.errors import EntryError, SiteError, WaasError
from ci.git.diff import Diff, diff
from ci.git.store import GitStore
from hooks.db.tables import PullRequest
from hooks.dispatch.merging import why_not
from hooks.errors import NotFoundError
from hooks.web import seen
from hooks.web.auth import caller, requires_token
from hooks.web.origin import from_our_pages

api = Blueprint("pulls_api", __name__)

BUILD = "build"
COMMANDS = ("validate", BUILD, "cancel")
_SHOWN = ("repository", "number", "branch", "title", "author", "pusher", "base", "head", "state")
_MORE = ("draft", "trusted", "merge_commit", "verdict", "build_state", "report", "plan")


def _app() -> Any:
    return current_app.extensions["waas"]


def _pull(repository: str, number: int) -> PullRequest:
    found: PullRequest | None = _app().pulls.numbered(repository, number)
    if found is None or repository not in seen.repositories():
        raise NotFoundError(f"there is no pull request #{number} in {repository[:80]!r}")
    return found


def _json(pull: PullRequest) -> dict[str, Any]:
    return {name: getattr(pull, name) for name in _SHOWN + _MORE}


def newest_pulls(count: int) -> Select[PullRequest]:
    """Those that the caller may see."""
    names = seen.repositories()
    of_these = select(PullRequest).where(PullRequest.repository.in_(names))
    return of_these.order_by(PullRequest.id.desc()).limit(count)


@api.get("/pulls")
@requires_token
def pulls() -> Response:
    """Pull requests, newest first; ``?state=`` and ``?repository=`` narrow them down."""
    query = newest_pulls(200)
    if state := request.args.get("state", "").upper():
        query = query.where(PullRequest.state == state)
    if repository := request.args.get("repository", ""):
        query = query.where(PullRequest.repository == repository)
    with _app().database.session() as session:
        return jsonify(pulls=[_json(pull) for pull in session.scalars(query)])


@api.get("/pulls/<repository>/<int(max=2147483647):number>")
@requires_token
def pull(repository: str, number: int) -> Response:
    """One pull request."""
    return jsonify(_json(_pull(repository, number)))


@api.post("/pulls/<repository>/<int(max=2147483647):number>/merge")
@requires_token
@from_our_pages
def merge(repository: str, number: int) -> Response:
    """Merge it: main moves to the commit that was validated. 403, 409 with what to do first.

    With ``{"head": COMMIT}`` only if it is still at this commit.
    """
    body = request.get_json(silent=True)
    head = body.get("head", "") if isinstance(body, dict) else ""
    if not isinstance(head, str):
        raise EntryError("head: must be a commit", hint='{"head": "<40 hex digits>"}')
    return jsonify(merged=_merge(repository, number, head))


@api.post("/pulls/<repository>/<int(max=2147483647):number>/commands")
@requires_token
@from_our_pages
def command(repository: str, number: int) -> Response:
    """Give a command, ``{"text": "/build alpha"}``, as in a comment; ``{"answer": …}``."""
    body = request.get_json(silent=True)
    text = body.get("text") if isinstance(body, dict) else None
    if not isinstance(text, str):
        raise EntryError("text: is missing", hint='{"text": "/help"}')
    return jsonify(answer=_give(repository, number, text))


@api.get("/pages/pulls/<repository>/<int(max=2147483647):number>")
@requires_token
def page(repository: str, number: int) -> str | tuple[str, int]:
    """All about one pull request."""
    try:
        return _page(_pull(repository, number))
    except NotFoundError:
        return render_template("missing.html", user=caller().user), 404


@api.post("/pages/pulls/<repository>/<int(max=2147483647):number>/<action>")
@requires_token
@from_our_pages
def act(repository: str, number: int, action: str) -> Answer | tuple[str, int]:
    """A button of the page."""
    row = _pull(repository, number)
    try:
        head = request.form.get("head", "")[:40]  # that the page showed
        if action == "merge":
            _merge(repository, number, head or "(none)")
        elif action in COMMANDS:
            text = f"/build {head}" if action == BUILD else f"/{action}"
            return _page(row, answer=_give(repository, number, text)), 200
        else:
            raise NotFoundError(f"there is no button {action[:40]!r}")
    except WaasError as error:
        return _page(_pull(repository, number), answer=str(error)), 409
    return redirect(f"/pages/pulls/{repository}/{number}", code=303)


def _merge(repository: str, number: int, head: str) -> str:
    _pull(repository, number)
    commit: str = _app().desk.merging.merge(repository, number, caller().user, head)
    with suppress(SiteError, SQLAlchemyError):  # it is merged, and seen within half a minute
        _app().desk.dispatcher.align(repository)
    return commit


def _give(repository: str, number: int, text: str) -> str:
    _pull(repository, number)
    answer: str = _app().desk.commanding.give(repository, number, caller().user, text)
    return answer


def _page(row: PullRequest, answer: str = "") -> str:
    waas = _app()
    main = waas.mains.of(row.repository)
    hosted = waas.settings.forges.hosted.get(row.repository)
    changes, note = _changes(row)
    return render_template(
        "pull.html",
        pull=row,
        results={r["id"]: r for r in row.plan.get("results", [])},
        commands=waas.desk.commanding.records.of(row.repository, row.number),
        deployed=waas.deployments.by_commit(row.repository, row.merge_commit)
        if row.merge_commit
        else [],
        changes=changes,
        note=note,
        hosted=f"{hosted.page}/pull/{row.number}" if hosted else "",
        why_not=why_not(row, main),
        answer=answer,
        buttons=COMMANDS if row.state == "OPEN" else (),
        user=caller().user,
    )


def _changes(row: PullRequest) -> tuple[Diff | None, str]:
    """What it changes, and why that cannot be shown."""
    try:
        store = _app().hosting.forges[row.repository].fetch(row.head, row.base)
        return _diff(store, row.base, row.head), ""
    except (EntryError, SiteError) as error:
        return None, str(error)


@lru_cache(maxsize=8)  # commits do not change, and a person looks at a page again
def _diff(store: GitStore, base: str, head: str) -> Diff:
    return diff(store, base, head)
