"""Which pages a request comes from: those that change something must come from ours.

A browser that was given a token sends it along with whatever any page makes it send, so a request
that changes something must come from our own pages, or carry a bearer token, which no browser adds
by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

from flask import request
from werkzeug.exceptions import Forbidden

P = ParamSpec("P")
R = TypeVar("R")


def from_our_pages(view: Callable[P, R]) -> Callable[P, R]:
    """Answer 403 if another site's page made a browser send this.

    ``Sec-Fetch-Site`` where the browser says so (https://www.w3.org/TR/fetch-metadata/), else
    ``Origin``, which every browser adds to a POST.
    """

    @wraps(view)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        given = request.authorization
        bearer = given is not None and given.type == "bearer"
        if not bearer and not _same_origin():
            raise Forbidden("this must be sent from a page of this service, or with a bearer token")
        return view(*args, **kwargs)

    return wrapper


def _same_origin() -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    try:
        return urlsplit(request.headers.get("Origin", "")).netloc == request.host
    except ValueError:
        return False
