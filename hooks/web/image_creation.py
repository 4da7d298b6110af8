"""The Container Image Creation API: ask for an image, look how far it is, download it.

Routes, field names and status words are those of the public service
(https://github.com/eflows4hpc/image_creation), so that its clients work unmodified: with and
without the prefix ``/image_creation``, with and without the last slash, with basic
authentication. An access token is the password (or, as one of its clients has it, the user).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request, send_file
from werkzeug.exceptions import BadRequest, TooManyRequests

from builder.store import MAIN, Image, ImageStore
from ci.errors import EntryError, SettingsError
from hooks.builds.records import CANCELLED, FAILED, FINISHED
from hooks.builds.spec import Asker, BuildSpec
from hooks.db.tables import Build
from hooks.errors import ConflictError, NotFoundError
from hooks.web import seen
from hooks.web.auth import caller, given_token, requires_token
from hooks.web.machine import target_from_machine

api = Blueprint("image_creation", __name__)

PREFIX = "/image_creation"
LATEST = "latest"
BUILDS_OF_A_USER = 20  # that go on at a time: the queue is everybody's
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,170}_([0-9a-f]{64})\.sif", re.ASCII)
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9-]+", re.ASCII)
_WORDS = {"true": True, "false": False}
_TOKEN_SECONDS = 6000  # what the public service says of its tokens; ours hold until revoked


def _app() -> Any:
    return current_app.extensions["waas"]


@api.get("/login", strict_slashes=False)
@requires_token
def login() -> Response:
    """The token that was given: the older public client logs in first."""
    return jsonify(token=given_token(), duration=_TOKEN_SECONDS)


@api.post("/build", strict_slashes=False)
@requires_token
def build() -> Response:
    """Ask for the image of a step for a machine; ``{"id"}``, to be looked at with GET."""
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    workflow, step = (_text(body, name) for name in ("workflow", "step_id"))
    machine = body.get("machine")
    if not isinstance(machine, dict):
        raise EntryError(f"machine: {machine!r} is not an object", hint=_EXAMPLE)
    force, push = (_flag(body, name) for name in ("force", "push"))
    if push and _app().settings.builder.registry is None:
        raise ConflictError(
            "this service has no registry to push images to",
            hint="leave `push` out and download the image when it is FINISHED",
        )
    requests = _app().builds.requests
    pair, _folder = requests.registries.split(workflow)
    if pair.name not in seen.registries():
        raise NotFoundError(f"there is no workflow {workflow[:80]!r}")
    spec = BuildSpec(
        workflow=workflow,
        step=step,
        commit=_commit(pair.workflows, _text(body, "version", LATEST) or LATEST),
        catalog_commit=requests.mains.of(pair.software),
        target=target_from_machine(machine),
    )
    asker = Asker.user(caller().user)
    if len(_app().builds.records.wanted_by(asker.name)) >= BUILDS_OF_A_USER:
        raise TooManyRequests(f"you have {BUILDS_OF_A_USER} builds that go on: wait for one")
    asked = _app().builds.ask(spec, asker, force=force)
    return jsonify(id=asked.build)


@api.get("/build/<name>", strict_slashes=False)
@requires_token
def status(name: str) -> Response:
    """How far a build is: ``{"status", "message", "image_id", "filename"}``."""
    row = seen.the_build(name)
    image = _image(row)
    return jsonify(
        status=FAILED if row.state == CANCELLED else row.state,
        message=_message(row),
        image_id=image.digest if image else (row.digest or None),
        filename=filename_of(image) if image else None,
    )


@api.get("/images/download/<name>", strict_slashes=False)
@requires_token
def download(name: str) -> Response:
    """The SIF file of an image of main; parts of it by ``Range``."""
    match = _FILE.fullmatch(name)
    image = _store().find(match[1], MAIN) if match else None
    if image is None or not image.here or filename_of(image) != name:
        raise NotFoundError(
            f"there is no image file {name[:200]!r}",
            hint="ask for the build again: images that nobody used for long are removed",
        )
    about = image.sif.stat()
    if _digest(image.sif, about.st_mtime_ns, about.st_size) != image.digest:
        raise SettingsError(f"the file of image {image.key[:12]} is damaged", hint=_DAMAGED)
    return send_file(
        image.sif,
        mimetype="application/octet-stream",
        as_attachment=True,
        download_name=name,
        conditional=True,
        etag=image.digest.removeprefix("sha256:"),
    )


@lru_cache(maxsize=1000)
def _digest(path: Path, _changed: int, _size: int) -> str:
    """A file's SHA-256, made once until the file changes."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def filename_of(image: Image) -> str:
    """The name that an image's file is downloaded by: for people, and by its key for us."""
    words = (image.workflow, image.step, image.target.microarchitecture)
    text = "_".join(_NOT_IN_A_NAME.sub("-", word).strip("-") or "x" for word in words)
    return f"{text[:150]}_{image.key}.sif"


def _store() -> ImageStore:
    store: ImageStore = _app().images
    return store


def _image(row: Build) -> Image | None:
    if row.state != FINISHED or row.scope != MAIN:
        return None
    image = _store().find(row.image, MAIN)
    return image if image and image.here else None


def _message(row: Build) -> str | None:
    if row.state == CANCELLED:
        return f"cancelled: {row.message}"
    return row.message or None


def _commit(repository: str, version: str) -> str:
    """The commit of main's history that a version names; of anything else nothing is built."""
    requests = _app().builds.requests
    head = requests.mains.of(repository)
    if not head:
        raise EntryError("the workflow registry has no main branch yet")
    if version == LATEST:
        return str(head)
    store = requests.forges[repository].fetch(head)
    commit: str = store.resolve(version)
    if not store.is_ancestor(commit, head):
        raise EntryError(
            f"version: {version!r} is not in the history of main",
            hint="leave it out for the newest, or name a tag or a commit that was merged",
        )
    return commit


def _text(body: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = body.get(name)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise EntryError(f"{name}: {'is missing' if value is None else 'must be text'}")
    return value


def _flag(body: Mapping[str, Any], name: str) -> bool:
    """A truth value, or the word for it. Absent is no: what is there is pushed anyway."""
    value = body.get(name)
    word = _WORDS.get(value.lower()) if isinstance(value, str) else value
    if word is not None and not isinstance(word, bool):
        word = None
    if word is None and value is not None:
        raise EntryError(f"{name}: must be true or false")
    return bool(word)


_DAMAGED = "the operator finds more with `waas images verify`; asking with `force` builds it anew"
_EXAMPLE = '{"platform": "linux/amd64", "architecture": "zen3", "container_engine": "singularity"}'
