"""What goes wrong with GitHub, as sentences. Nothing in them is a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import requests
from github import BadAttributeException, GithubException, RateLimitExceededException

from ci.errors import SettingsError, SiteError, WaasError
from ci.markdown import printable

LONGEST = 300  # characters of what GitHub says


class Heard(Protocol):
    """Takes the status and headers of a refusal, and whether it speaks of a limit."""

    def __call__(self, status: int, headers: Mapping[str, str], *, said: bool = False) -> float:
        """Seconds that a rate limit lasts, 0 for none."""


class AnsweredError(SiteError):
    """GitHub answered that it will not. ``status`` is HTTP's, ``message`` has what it said."""

    def __init__(
        self, status: int, message: str, *, transient: bool = False, hint: str = ""
    ) -> None:
        super().__init__(message, transient=transient, hint=hint)
        self.status = status


@contextmanager
def as_sentences(name: str, what: str, heard: Heard) -> Iterator[None]:
    """Whatever PyGithub raises, as a ``WaasError``. ``what`` is the request, for a person."""
    who = f"GitHub ({name})"
    try:
        yield
    except GithubException as error:
        raise _answered(name, what, error, heard) from None
    except requests.Timeout:
        raise SiteError(f"{who} did not answer in time", transient=True) from None
    except requests.exceptions.SSLError:
        hint = "REQUESTS_CA_BUNDLE names the file of your own authorities"
        raise SiteError(f"{who} has a certificate that is not trusted here", hint=hint) from None
    except requests.RequestException:
        raise SiteError(f"{who} cannot be reached", transient=True) from None
    except (AssertionError, RuntimeError, BadAttributeException):
        # PyGithub's: the next page is elsewhere, or it is redirected to another host
        hint = f"correct `url:` of the connection {name} in the settings"
        raise SiteError(f"{who} answers as no GitHub does", hint=hint) from None
    except ValueError:  # JSON that is none
        raise unreadable(name) from None


def unreadable(name: str) -> SiteError:
    """An answer that is not what GitHub's description says."""
    return SiteError(f"GitHub ({name}) sent an answer that cannot be read", transient=True)


def _answered(name: str, what: str, error: GithubException, heard: Heard) -> WaasError:
    status, headers, who = error.status, error.headers or {}, f"GitHub ({name})"
    seconds = heard(status, headers, said=isinstance(error, RateLimitExceededException))
    if seconds:
        message = f"{who} takes no requests from us for {seconds:.0f} seconds: its rate limit"
        return AnsweredError(status, message, transient=True)
    if status == 401:
        return SettingsError(
            f"{who} refuses our key or token",
            hint=f"see `waas github check`; `waas github connect {name}` takes a new one",
        )
    if status >= 500:
        return AnsweredError(status, f"{who} is not well: it answers {status}", transient=True)
    said = _said(error.data) or str(status)
    return AnsweredError(status, f"{who} refuses {what}: {said}", hint=_hint(status, headers))


def _hint(status: int, headers: Mapping[str, str]) -> str:
    check = "`waas github check` shows what is missing"
    if status == 404:
        return f"it is not there, or we are not let in: {check}"
    if status == 403:
        needed = printable(headers.get("x-accepted-github-permissions", ""))[:120]
        return f"it wants the permission {needed}: {check}" if needed else check
    return ""


def _said(data: Any) -> str:
    """GitHub's message and its words on single fields, on one line."""
    if not isinstance(data, dict):
        return ""
    parts = [data.get("message")]
    errors = data.get("errors")
    for one in errors[:5] if isinstance(errors, list) else []:
        parts += [one.get("message"), one.get("code")] if isinstance(one, dict) else [one]
    return printable("; ".join(part for part in parts if isinstance(part, str)))[:LONGEST]
