"""The web application."""

from __future__ import annotations

from typing import Any

from flask import Flask

from hooks.web import (
    builds_api,
    deliveries_api,
    deployments_api,
    errors,
    execution_api,
    git_http,
    image_creation,
    origin,
    pages,
    pulls_api,
    service_api,
    webhooks,
)


def create(waas: Any) -> Flask:
    """Make the Flask application over the parts that ``hooks.wiring`` put together."""
    app = Flask("hooks.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 10_000_000  # bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["waas"] = waas
    errors.register(app)
    origin.guard(app)
    programs = (execution_api, image_creation, builds_api, service_api, deliveries_api, git_http)
    for room in (*programs, deployments_api, pulls_api, pages):
        app.register_blueprint(room.api)
    prefix = image_creation.PREFIX
    app.register_blueprint(image_creation.api, url_prefix=prefix, name="image_creation_prefixed")
    app.wsgi_app = webhooks.before(app.wsgi_app, waas)  # type: ignore[method-assign, assignment]
    return app
