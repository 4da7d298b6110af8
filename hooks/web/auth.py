"""Who calls: a bearer token, or basic authentication with the token as password."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import current_app, g, request
from werkzeug.exceptions import Forbidden, Unauthorized

from hooks.tokens import Caller, Tokens

P = ParamSpec("P")
R = TypeVar("R")


def caller() -> Caller:
    """Who the current request speaks for; only inside a route that requires a token."""
    known: Caller = g.caller
    return known


def requires_token(view: Callable[P, R]) -> Callable[P, R]:
    """Answer 401 unless the request carries a token that holds."""

    @wraps(view)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        tokens: Tokens = current_app.extensions["waas"].tokens
        for token in _candidates():
            found = tokens.check(token)
            if found is not None:
                g.caller, g.token = found, token
                return view(*args, **kwargs)
        raise Unauthorized("give an access token that holds: Authorization: Bearer <token>")

    return wrapper


def given_token() -> str:
    """The token that came with the current request, which is the caller's own."""
    token: str = g.token
    return token


def requires_operator(view: Callable[P, R]) -> Callable[P, R]:
    """Answer 403 unless the token is an operator's."""

    @wraps(view)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if caller().role != "operator":
            raise Forbidden("only an operator may do this")
        return view(*args, **kwargs)

    return requires_token(wrapper)


def _candidates() -> list[str]:
    """What may be the token: the bearer, or the password; a client of the public Container Image
    Creation has it as the user, with ``None`` as the password.
    """
    given = request.authorization
    if given is None:
        return []
    if given.type == "bearer":
        return [given.token or ""]
    return [str(given.password or ""), str(given.username or "")] if given.type == "basic" else []
