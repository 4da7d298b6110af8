"""Builds over HTTP: list, look, cancel, and their logs: by page, or live as Server-Sent Events.

The stream is that of https://html.spec.whatwg.org/multipage/server-sent-events.html: events
``state`` (``{"state","message"}``), ``line`` (with its number as id, from which a reader that
comes again with ``Last-Event-ID``, or with ``?from=``, goes on) and ``end``, after which there is
nothing more.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.exceptions import BadRequest

from hooks.builds.records import BuildRecords
from hooks.builds.service import Builds
from hooks.db.tables import Build, LogLine, now
from hooks.journal import LEVELS
from hooks.web import seen
from hooks.web.auth import caller, requires_token

api = Blueprint("builds_api", __name__)

STREAMS_AT_ONCE = 12  # each holds one of the server's 32 threads
LONGEST_STREAM_SECONDS = 1800.0  # then a reader comes again
HEARTBEAT_SECONDS = 10.0  # by which a reader that is gone is noticed
LOOK_SECONDS = 0.25
RETRY_SECONDS = 5
LARGEST_PAGE = 500

_streams = threading.BoundedSemaphore(STREAMS_AT_ONCE)


def _builds() -> Builds:
    builds: Builds = current_app.extensions["waas"].builds
    return builds


def _records() -> BuildRecords:
    return _builds().records


def _number(name: str, default: int, most: int) -> int:
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 18 and int(text) <= most):
        raise BadRequest(f"{name}: {text[:40]!r} is not a number up to {most}")
    return int(text)


@api.get("/builds")
@requires_token
def builds() -> Response:
    """Builds, the newest first; ``workflow`` and ``state`` narrow the list, ``page`` goes on."""
    size = max(1, _number("per_page", 100, LARGEST_PAGE))
    page = max(1, _number("page", 1, 10**9))
    rows, total = _records().page(
        seen.builds(),
        workflow=request.args.get("workflow", ""),
        state=request.args.get("state", "").upper(),
        start=(page - 1) * size,
        size=size,
    )
    return jsonify(builds=[_shown(row) for row in rows], page=page, per_page=size, total=total)


@api.get("/builds/<build>")
@requires_token
def build_status(build: str) -> Response:
    """One build, and who wants it."""
    row = seen.the_build(build)
    return jsonify(_shown(row) | {"askers": _records().askers(build), "target": row.target})


@api.delete("/builds/<build>")
@requires_token
def cancel(build: str) -> tuple[Response, int]:
    """Want a build no longer; it ends when nobody does, or when an operator says so."""
    seen.the_build(build)
    ended = _builds().cancel(build, caller())
    row = _records().get(build)
    return jsonify(id=build, state=row.state, ended=ended, askers=_records().askers(build)), 202


@api.get("/builds/<build>/log")
@requires_token
def build_log(build: str) -> Response:
    """Lines of the log after the line ``from``; ``next`` is what to ask from the next time."""
    row = seen.the_build(build)
    start = _number("from", 0, 2**53)
    lines = _records().lines(build, start, max(1, _number("size", 1_000, 10_000)))
    last = lines[-1].number if lines else start
    return jsonify(state=row.state, lines=[_line(line) for line in lines], next=last)


@api.get("/builds/<build>/events")
@requires_token
def events(build: str) -> Response:
    """The build as it goes, as Server-Sent Events."""
    seen.the_build(build)
    given = request.headers.get("Last-Event-ID", "")
    known = given.isascii() and given.isdigit() and len(given) < 18
    start = int(given) if known else _number("from", 0, 2**53)
    if not _streams.acquire(blocking=False):
        busy = jsonify(error="too many follow builds just now", hint="try again in a moment")
        busy.status_code, busy.headers["Retry-After"] = 503, str(RETRY_SECONDS)
        return busy
    answer = Response(_stream(_builds(), build, start), mimetype="text/event-stream")
    answer.call_on_close(_streams.release)  # also when the stream was never begun
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["X-Accel-Buffering"] = "no"  # a proxy must not hold lines back
    return answer


def _stream(builds: Builds, build: str, last: int) -> Iterator[str]:
    records = builds.records
    begun = spoken = time.monotonic()
    shown: tuple[str, str] | None = None
    yield f"retry: {RETRY_SECONDS * 1000}\n\n"
    while time.monotonic() - begun < LONGEST_STREAM_SECONDS and not builds.stopping:
        row = records.get(build)  # before its lines: the last of them come before the end
        lines = records.lines(build, last)
        if shown != (row.state, row.message):
            shown = (row.state, row.message)
            yield _event("state", {"state": row.state, "message": row.message})
        for line in lines:
            last = line.number
            yield _event("line", _line(line), last)
        if row.active is None and not lines:
            yield _event("end", {"state": row.state, "message": row.message})
            return
        if lines or time.monotonic() - spoken > HEARTBEAT_SECONDS:
            spoken = time.monotonic()
            yield ": still here\n\n"
        if not lines:
            time.sleep(LOOK_SECONDS)


def _event(kind: str, data: dict[str, Any], number: int | None = None) -> str:
    name = f"id: {number}\n" if number is not None else ""
    return f"{name}event: {kind}\ndata: {json.dumps(data)}\n\n"  # JSON has no raw line ends


def _line(line: LogLine) -> dict[str, Any]:
    stamp = f"{line.timestamp.isoformat(timespec='milliseconds')}Z"
    about = {"number": line.number, "level": LEVELS[line.level]}
    return about | {"timestamp": stamp, "content": line.content}


def _shown(row: Build) -> dict[str, Any]:
    names = ("id", "workflow", "step", "site", "commit", "catalog_commit", "scope", "state")
    more = ("reused", "message", "key", "image", "digest", "priority", "force")
    begun = row.started_at or row.created_at
    stamp = f"{row.created_at.isoformat(timespec='seconds')}Z"
    seconds = max(((row.finished_at or now()) - begun).total_seconds(), 0.0)
    return {n: getattr(row, n) for n in (*names, *more)} | {"created": stamp, "seconds": seconds}
