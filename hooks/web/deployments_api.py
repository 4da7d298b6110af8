"""Deployments over HTTP: what is where; and, for operators, again, back or away."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from sqlalchemy import select

from ci.errors import EntryError
from hooks.db.tables import Deployment
from hooks.errors import NotFoundError
from hooks.web.auth import caller, requires_operator, requires_token
from hooks.web.origin import from_our_pages

api = Blueprint("deployments_api", __name__)


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
    row = _app().deployments.get(name)
    if row is None:
        raise NotFoundError(f"there is no deployment {name[:120]!r}")
    return jsonify(_json(row))


@api.post("/deployments/<name>/<action>")
@requires_operator
@from_our_pages
def act(name: str, action: str) -> tuple[Response, int]:
    """``deploy``, ``rollback`` or ``undeploy``; ``{"commit": …, "force": …}`` may be given.

    202 ``{"request", "message"}``: it is done as soon as can be. 404, 400 with the reason.
    """
    body = request.get_json(silent=True) or {}
    commit, force = (body.get("commit", ""), body.get("force", False)) if _is_map(body) else (0, 0)
    if not isinstance(commit, str) or not isinstance(force, bool):
        raise EntryError("commit must be text, force true or false")
    workflow, mark, site = name.rpartition("@")
    if not mark or site not in _app().sites.names():
        raise NotFoundError(f"{name[:120]!r} is not WORKFLOW@SITE of this service")
    _app().registries.split(workflow)
    number = secrets.token_hex(8)
    message = _app().deploying.request(
        action, workflow, site, commit=commit, by=caller().user, id=number, force=force
    )
    return jsonify(request=number, message=message), 202


@api.get("/deployment-requests/<number>")
@requires_operator
def asked(number: str) -> Response:
    """How a request is: ``{"state": "RUNNING" | "DONE" | "FAILED", "message"}``."""
    state, message = _app().deploying.outcome(number[:40])
    return jsonify(state=state, message=message)


def _is_map(body: Any) -> bool:
    return isinstance(body, dict)
