"""Errors as JSON, each with a sentence; never a traceback."""

from __future__ import annotations

import logging
import secrets

from flask import Flask, Response, jsonify
from sqlalchemy.exc import DataError
from werkzeug.exceptions import HTTPException

from ci.errors import EntryError, SiteError, WaasError
from hooks.db import AWAY, told
from hooks.errors import ConflictError, ForbiddenError, NotFoundError

log = logging.getLogger(__name__)

RETRY_SECONDS = 5


def register(app: Flask) -> None:
    """Make every error of a route a JSON answer ``{"error": …, "hint": …}``."""

    @app.errorhandler(WaasError)
    def known(error: WaasError) -> tuple[Response, int]:
        return jsonify(error=error.message, hint=error.hint), _code(error)

    @app.errorhandler(DataError)
    def impossible(_error: DataError) -> tuple[Response, int]:
        # PostgreSQL refuses U+0000 in what is compared with a text
        return jsonify(error="there are characters in it that nothing here has", hint=""), 400

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error=error.description or error.name, hint=""), error.code or 500

    def away(error: Exception) -> tuple[Response, int, dict[str, str]]:
        log.warning("a request could not be answered: %s", told(error))
        sentence = "the database does not answer at present; try again"
        return jsonify(error=sentence, hint=""), 503, {"Retry-After": str(RETRY_SECONDS)}

    for kind in AWAY:
        app.register_error_handler(kind, away)

    @app.errorhandler(Exception)
    def defect(_error: Exception) -> tuple[Response, int]:
        reference = secrets.token_hex(4)
        log.exception("a request failed by a defect of ours", extra={"reference": reference})
        sentence = f"internal error; the operator finds it in the log under {reference}"
        return jsonify(error=sentence, hint=""), 500


def _code(error: WaasError) -> int:
    if isinstance(error, NotFoundError):
        return 404
    if isinstance(error, ForbiddenError):
        return 403
    if isinstance(error, ConflictError):
        return 409
    if isinstance(error, EntryError):
        return 400
    return 503 if isinstance(error, SiteError) and error.transient else 500
