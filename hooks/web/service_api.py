"""What the service itself has to say: sites, deployments, images, health."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flask import Blueprint, Response, current_app, jsonify

from hooks.web.auth import requires_token

api = Blueprint("service_api", __name__)


def _app() -> Any:
    return current_app.extensions["waas"]


@api.get("/version")
def shown_version() -> Response:
    """The version of the service."""
    try:
        return jsonify(version=version("hpcwaas"))
    except PackageNotFoundError:
        return jsonify(version="unknown")


@api.get("/healthz")
def health() -> Response:
    """200 while the database answers."""
    _app().database.ping()
    return jsonify(status="ok")


@api.get("/sites")
@requires_token
def sites() -> Response:
    """The sites and their targets; no host keys, no logins."""
    found = _app().sites.all()
    return jsonify(
        sites=[
            {"name": s.name, "title": s.title, "queue": s.queue.kind, "target": s.target.to_dict()}
            for s in found
        ]
    )


@api.get("/images")
@requires_token
def images() -> Response:
    """The image store."""
    return jsonify(images=[image.to_dict() for image in _app().images.list()])
