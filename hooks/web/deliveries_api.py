"""Deliveries over HTTP and as a page, for operators: what came, what became of it, once more."""

from __future__ import annotations

from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, jsonify, redirect, render_template, request
from werkzeug.exceptions import BadRequest
from werkzeug.wrappers import Response as Answer

from hooks.inbox.records import LARGEST_PAGE, DeliveryRecords, shown, shown_whole
from hooks.inbox.tries import STATES
from hooks.web.auth import caller, requires_operator
from hooks.web.origin import from_our_pages

api = Blueprint("deliveries_api", __name__)

P = ParamSpec("P")
R = TypeVar("R")
_ON_A_PAGE = 50


def _records() -> DeliveryRecords:
    return DeliveryRecords(current_app.extensions["waas"].database)


def _number(name: str, default: int, most: int) -> int:
    text = request.args.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 18 and int(text) <= most):
        raise BadRequest(f"{name}: {text[:40]!r} is not a number up to {most}")
    return int(text)


def _narrowed() -> dict[str, Any]:
    """What the request's query asks for; ``before`` is the lowest number of the page before."""
    return {
        "state": request.args.get("state", "").upper(),
        "repository": request.args.get("repository", ""),
        "before": _number("before", 0, 2**53),
    }


@api.get("/deliveries")
@requires_operator
def deliveries() -> Response:
    """Deliveries, the newest first; ``next`` is the ``before`` of the next page, if any."""
    limit = max(1, _number("limit", 100, LARGEST_PAGE))
    found = _records().page(**_narrowed(), limit=limit + 1)
    rows = [shown(row) for row in found[:limit]]
    return jsonify(deliveries=rows, next=rows[-1]["number"] if len(found) > limit else None)


@api.get("/deliveries/<path:name>")
@requires_operator
def delivery(name: str) -> Response:
    """One delivery with its event."""
    return jsonify(shown_whole(_records().get(name)))


@api.post("/deliveries/<path:name>/replay")
@requires_operator
@from_our_pages
def replay(name: str) -> tuple[Response, int]:
    """Handle it once more; one that waits already goes on waiting."""
    return jsonify(id=name, again=_replay(name), state="RECEIVED"), 202


@api.get("/pages/deliveries")
@requires_operator
def page() -> str:
    """Deliveries, with a button to have one handled once more."""
    narrowed = _narrowed()
    found = _records().page(**narrowed, limit=_ON_A_PAGE + 1)
    rows = [shown_whole(row) for row in found[:_ON_A_PAGE]]
    kept = {name: value for name, value in narrowed.items() if value and name != "before"}
    older = urlencode(kept | {"before": rows[-1]["number"]}) if len(found) > _ON_A_PAGE else ""
    return render_template(
        "deliveries.html",
        rows=rows,
        states=STATES,
        chosen=narrowed,
        older=older,
        here=urlencode({name: value for name, value in narrowed.items() if value}),
        user=caller().user,
    )


@api.post("/pages/deliveries/<path:name>/replay")
@requires_operator
@from_our_pages
def replay_on_page(name: str) -> Answer:
    """Handle it once more, and show the list again."""
    _replay(name)
    return redirect("/pages/deliveries?" + urlencode(_narrowed()), 303)


def _replay(name: str) -> bool:
    """Whether it is taken up again. Raises ``NotFoundError``."""
    _records().get(name)
    return bool(_records().replay([name]))
