"""Web pages: what runs where, and what came of it. Read-only; a browser logs in with a token."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, render_template
from sqlalchemy import select
from werkzeug.exceptions import Unauthorized

from hooks.db.tables import Deployment
from hooks.web import seen
from hooks.web.auth import caller, requires_token
from hooks.web.execution_api import public_status
from hooks.web.pulls_api import newest_pulls

api = Blueprint("pages", __name__, template_folder="templates")

LINES_ON_A_PAGE = 5_000  # at first; the page then asks for those that follow


def _app() -> Any:
    return current_app.extensions["waas"]


@api.app_errorhandler(Unauthorized)
def ask(error: Unauthorized) -> Response:
    """401, with the challenge that HTTP asks for: browsers and wget send nothing without it."""
    answer = jsonify(error=error.description, hint="`waas tokens create USER`")
    answer.status_code = 401
    answer.headers["WWW-Authenticate"] = 'Basic realm="hpcwaas: any name, token as password"'
    return answer


@api.get("/")
@requires_token
def home() -> str:
    """Executions, deployments, builds and pull requests at a glance."""
    waas = _app()
    with waas.database.session() as session:
        deployments = list(session.scalars(select(Deployment).order_by(Deployment.id)))
        pulls = list(session.scalars(newest_pulls(10)))
    return render_template(
        "home.html",
        executions=[(e, public_status(e)) for e in waas.executions.mine(caller(), limit=20)],
        deployments=deployments,
        builds=waas.builds.records.page(seen.builds(), size=10)[0],
        pulls=pulls,
        user=caller().user,
    )


@api.get("/pages/executions/<execution>")
@requires_token
def execution_page(execution: str) -> str:
    """One execution: its jobs, its log, its results."""
    waas = _app()
    found = waas.executions.get(caller(), execution)
    lines, _total = waas.journal.read(f"execution:{found.id}")
    return render_template(
        "execution.html",
        execution=found,
        status=public_status(found),
        jobs=waas.executions.jobs(found.id),
        lines=lines,
        user=caller().user,
    )


@api.get("/pages/builds/<build>")
@requires_token
def build_page(build: str) -> str:
    """One build and its log, which goes on while the page is open."""
    records = _app().builds.records
    row = seen.the_build(build)
    lines = records.lines(build, size=LINES_ON_A_PAGE)
    return render_template(
        "build.html",
        build=row,
        askers=records.askers(build),
        lines=lines,
        last=lines[-1].number if lines else 0,
        more=row.active is not None or len(lines) == LINES_ON_A_PAGE,
        user=caller().user,
    )
