"""Which pages a request comes from: those that change something must come from ours.

A browser that was given a token sends it along with whatever any page makes it send, so a request
that changes something must come from our own pages, or carry a bearer token, which no browser adds
by itself. Programs that are no browsers (git among them) say nothing of where they come from; they
are let in but where only our pages have a button. Nor may our pages be shown inside another's,
which could have a person press a button that they do not see. Of scripts only our own run, by a
number that is another in each answer: none that was smuggled into a page, or comes with a result.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, g, request
from werkzeug.exceptions import Forbidden

_SENTENCE = "this must be sent from a page of this service, or with a bearer token"
_SAFE = ("GET", "HEAD", "OPTIONS")
# https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Content-Security-Policy
_POLICY = (
    "frame-ancestors 'none'; form-action 'self'; base-uri 'none'; object-src 'none'; "
    "script-src 'nonce-{}'"
)
_HEADERS = {
    "X-Frame-Options": "DENY",  # of older browsers
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

P = ParamSpec("P")
R = TypeVar("R")


def guard(app: Flask) -> None:
    """Answer 403 to what another site's page made a browser send, and let none frame our pages."""

    @app.before_request
    def refuse() -> None:
        g.nonce = secrets.token_urlsafe(16)
        told = "Sec-Fetch-Site" in request.headers or "Origin" in request.headers
        if request.method not in _SAFE and told and not _bearer() and not _same_origin():
            raise Forbidden(_SENTENCE)

    @app.after_request
    def protect(answer: Response) -> Response:
        policy = _POLICY.format(g.get("nonce", "none"))
        for name, value in {**_HEADERS, "Content-Security-Policy": policy}.items():
            answer.headers.setdefault(name, value)
        return answer


def from_our_pages(view: Callable[P, R]) -> Callable[P, R]:
    """Answer 403 if another site's page made a browser send this.

    ``Sec-Fetch-Site`` where the browser says so (https://www.w3.org/TR/fetch-metadata/), else
    ``Origin``, which every browser adds to a POST.
    """

    @wraps(view)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if not _bearer() and not _same_origin():
            raise Forbidden(_SENTENCE)
        return view(*args, **kwargs)

    return wrapper


def _bearer() -> bool:
    given = request.authorization
    return given is not None and given.type == "bearer"


def _same_origin() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    try:
        return urlsplit(request.headers.get("Origin", "")).netloc == request.host
    except ValueError:
        return False
