"""The HPCWaaS Execution API: workflows, executions, their logs, SSH keys.

Routes, field names and status words are those of the public API, so that its client works
unmodified; our own states are translated here and nowhere else.
"""

from __future__ import annotations

import re
import time
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request, send_from_directory
from werkzeug.exceptions import BadRequest

from hooks.db.tables import Execution, LogLine
from hooks.web.auth import caller, requires_token

api = Blueprint("execution_api", __name__)

LONGEST_POLL_SECONDS = 300.0
_LEVELS = {1: "DEBUG", 2: "INFO", 4: "WARN", 8: "ERROR"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def _app() -> Any:
    return current_app.extensions["waas"]


def _body() -> dict[str, Any]:
    data = request.get_json(silent=True) if request.data else {}
    if not isinstance(data, dict):
        raise BadRequest("the body must be a JSON object")
    return data


@api.get("/workflows")
@requires_token
def workflows() -> Response:
    """The workflows that can be run, one entry a site."""
    return jsonify(workflows=_app().executions.workflows(caller()))


@api.post("/workflows/<workflow>")
@requires_token
def trigger(workflow: str) -> tuple[Response, int, dict[str, str]]:
    """Accept an execution; 201 with its place, also when the same key was accepted before."""
    inputs = _body().get("inputs", {})
    if not isinstance(inputs, dict):
        raise BadRequest("inputs must be an object of names and values")
    key = request.headers.get("Idempotency-Key")
    execution = _app().executions.trigger(caller(), workflow, inputs, idempotency_key=key)
    return jsonify(_shown(execution)), 201, {"Location": f"/executions/{execution.id}"}


@api.get("/executions")
@requires_token
def executions() -> Response:
    """The caller's executions, newest first; ``workflow``, ``state``, ``limit`` narrow the list."""
    found = _app().executions.mine(
        caller(),
        workflow=request.args.get("workflow"),
        state=request.args.get("state"),
        limit=min(request.args.get("limit", 50, type=int), 500),
    )
    return jsonify(executions=[_shown(e) for e in found])


@api.get("/executions/<execution>")
@requires_token
def execution_status(execution: str) -> Response:
    """Where an execution is, and its outputs when it has ended."""
    return jsonify(_shown(_app().executions.get(caller(), execution)))


@api.delete("/executions/<execution>")
@requires_token
def cancel(execution: str) -> tuple[str, int]:
    """Ask for an execution to be cancelled."""
    _app().executions.cancel(caller(), execution)
    return "", 202


@api.get("/executions/<execution>/logs")
@requires_token
def logs(execution: str) -> Response:
    """Log lines from a position on; waits up to ``timeout`` for the first when there is none."""
    _app().executions.get(caller(), execution)
    start = max(0, request.args.get("from", 0, type=int))
    size = request.args.get("size", -1, type=int)
    levels = request.args.get("levels", 0, type=int)
    until = time.monotonic() + min(
        _seconds(request.args.get("timeout", "1m")), LONGEST_POLL_SECONDS
    )
    subject = f"execution:{execution}"
    while True:
        lines, total = _app().journal.read(subject, start=start, size=size, levels=levels)
        final = _app().executions.get(caller(), execution).finished_at is not None
        if lines or final or time.monotonic() >= until:
            break
        time.sleep(0.25)
    return jsonify({"logs": [_line(x) for x in lines], "total_results": total, "from": start})


@api.get("/executions/<execution>/outputs/<path:name>")
@requires_token
def output(execution: str, name: str) -> Response:
    """A file that the execution staged out."""
    found = _app().executions.get(caller(), execution)
    answer = send_from_directory(_app().settings.results / found.id, name, as_attachment=True)
    answer.headers["X-Content-Type-Options"] = "nosniff"  # a result is never a page of ours
    return answer


@api.post("/ssh_keys")
@requires_token
def make_key() -> tuple[Response, int]:
    """Make a key pair; only the public half is ever shown."""
    metadata = _body().get("metadata", {})
    if not isinstance(metadata, dict):
        raise BadRequest("metadata must be an object")
    key = _app().ssh_keys.create(caller().user, metadata)
    return jsonify(id=key.id, public_key=key.public_key), 201


@api.get("/ssh_keys")
@requires_token
def keys() -> Response:
    """The caller's key pairs."""
    found = _app().ssh_keys.of(caller().user)
    return jsonify(
        ssh_keys=[{"id": k.id, "public_key": k.public_key, "metadata": k.details} for k in found]
    )


@api.delete("/ssh_keys/<key>")
@requires_token
def revoke_key(key: str) -> tuple[str, int]:
    """Forget a key pair; its private half is deleted at once."""
    _app().ssh_keys.revoke(caller().user, key)
    return "", 204


def public_status(execution: Execution) -> str:
    """Our state in the words of the Execution API."""
    if execution.cancelling and execution.finished_at is None:
        return "CANCELLING"
    words = {"SUCCEEDED": "SUCCESS", "FAILED": "FAILED", "CANCELLED": "CANCELLED"}
    return words.get(execution.state, "RUNNING")


def _shown(execution: Execution) -> dict[str, Any]:
    return {
        "id": execution.id,
        "status": public_status(execution),
        "outputs": execution.outputs,
        "workflow": execution.deployment,
        "commit": execution.commit,
        "state": execution.state,
        "message": execution.message,
        "inputs": execution.inputs,
        "created": f"{execution.created_at.isoformat(timespec='seconds')}Z",
        "jobs": _app().executions.jobs(execution.id),
    }


def _line(line: LogLine) -> dict[str, str]:
    stamp = f"{line.timestamp.isoformat(timespec='milliseconds')}Z"
    return {"level": _LEVELS[line.level], "timestamp": stamp, "content": line.content}


def _seconds(text: str) -> float:
    match = _DURATION.match(text)
    if not match:
        raise BadRequest(f"timeout: {text!r} is not a duration such as 30s or 1m")
    return float(match[1]) * _UNITS[match[2]]
