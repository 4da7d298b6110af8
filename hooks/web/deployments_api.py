"""Deployments over HTTP: what is where; and, for operators, again, back or away."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from sqlalchemy import select

from ci.errors import EntryError
from hooks.db.tables import Deployment
from hooks.deployments.plan import check_names
from hooks.errors import NotFoundError
from hooks.web.auth import caller, requires_operator, requires_token
from hooks.web.origin import from_our_pages

api = Blueprint("deployments_api", __name__)

_LONGEST = 300  # characters of a name
_NUMBER = re.compile(r"[0-9a-f]{16}", re.ASCII)


def _app() -> Any:
    return current_app.extensions["waas"]


def _json(row: Deployment) -> dict[str, Any]:
    return {
        "id": row.id,
        "workflow": row.workflow,
        "site": row.site,
        "state": row.state,
        "commit": row.commit,
        "active": row.active,
        "message": row.message,
        "images": row.manifest.get("steps", {}),
        "updated": f"{row.updated_at.isoformat(timespec='milliseconds')}Z",
    }


@api.get("/deployments")
@requires_token
def deployments() -> Response:
    """Each workflow at each site."""
    with _app().database.session() as session:
        rows = list(session.scalars(select(Deployment).order_by(Deployment.id)))
    return jsonify(deployments=[_json(row) for row in rows])


@api.get("/deployments/<name>")
@requires_token
def deployment(name: str) -> Response:
    """One of them, by ``workflow@site``."""
    _names(name)
    row = _app().deployments.get(name)
    if row is None:
        raise NotFoundError(f"there is no deployment {name!r}")
    return jsonify(_json(row))


def _names(name: str) -> tuple[str, str]:
    """Workflow and site. Raises ``NotFoundError`` for what cannot be the name of a deployment."""
    workflow, _, site = name.rpartition("@")
    try:
        check_names(workflow)
        check_names(site)
    except EntryError:
        raise NotFoundError(f"{name[:120]!r} is not WORKFLOW@SITE") from None
    if len(name) > _LONGEST:
        raise NotFoundError(f"there is no deployment {name[:120]!r}…")
    return workflow, site


@api.post("/deployments/<name>/<action>")
@requires_operator
@from_our_pages
def act(name: str, action: str) -> tuple[Response, int]:
    """``deploy``, ``rollback`` or ``undeploy``; ``{"commit": …, "force": …}`` may be given.

    202 ``{"request", "message"}``: it is done as soon as can be. 404, 400 with the reason.
    """
    workflow, site = _names(name)
    commit, force = _options()
    if site not in _app().sites.names():
        raise NotFoundError(f"{name!r}: there is no site {site!r}")
    _app().registries.split(workflow)
    number = secrets.token_hex(8)
    message = _app().deploying.request(
        action, workflow, site, commit=commit, by=caller().user, id=number, force=force
    )
    return jsonify(request=number, message=message), 202


def _options() -> tuple[str, bool]:
    """What is asked for beside the name: nothing, or a JSON object of what we know."""
    # whatever its type says: what was meant to narrow a request must never be passed over
    try:
        body = json.loads(request.get_data() or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict) or not body.keys() <= {"commit", "force"}:
        raise EntryError("the body must be a JSON object with commit, force or nothing")
    commit, force = body.get("commit", ""), body.get("force", False)
    if not isinstance(commit, str) or not isinstance(force, bool):
        raise EntryError("commit must be text, force true or false")
    return commit, force


@api.get("/deployment-requests/<number>")
@requires_operator
def asked(number: str) -> Response:
    """How a request is: ``{"state": "RUNNING" | "DONE" | "FAILED", "message"}``."""
    if not _NUMBER.fullmatch(number):
        raise NotFoundError(f"there is no request {number[:40]!r}")
    state, message = _app().deploying.outcome(number)
    return jsonify(state=state, message=message)
