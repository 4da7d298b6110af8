"""Webhooks and GitHub's record of their deliveries: https://docs.github.com/en/rest/repos/webhooks"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from .calls import Call, Json, missing, on
from .sending import Delivery
from .world import Hook

_HIDDEN = "********"
READS = "repository_hooks"


@on("GET", "/app/hook/config", who="app")
def app_config(call: Call) -> tuple[int, Any]:
    return 200, _config(_hook_of_app(call))


@on("GET", "/app/hook/deliveries", who="app")
def app_deliveries(call: Call) -> tuple[int, Any]:
    return 200, _page(call, _hook_of_app(call))


@on("GET", "/app/hook/deliveries/{delivery_id}", who="app")
def app_delivery(call: Call) -> tuple[int, Any]:
    return 200, _whole(_delivery(call, _hook_of_app(call)))


@on("POST", "/app/hook/deliveries/{delivery_id}/attempts", who="app")
def app_attempt(call: Call) -> tuple[int, Any]:
    call.world.redeliver(_delivery(call, _hook_of_app(call)).id)
    return 202, {}


@on("GET", "…/hooks", permission=READS, role="admin")
def hooks(call: Call) -> tuple[int, Any]:
    found = [h for h in call.world.hooks.values() if h.slug == call.repo.slug]
    return 200, call.page(found, lambda one: _shape(call, one))


@on("GET", "…/hooks/{hook_id}/deliveries", permission=READS, role="admin")
def deliveries(call: Call) -> tuple[int, Any]:
    return 200, _page(call, _hook(call))


@on("GET", "…/hooks/{hook_id}/deliveries/{delivery_id}", permission=READS, role="admin")
def delivery(call: Call) -> tuple[int, Any]:
    return 200, _whole(_delivery(call, _hook(call)))


@on("POST", "…/hooks/{hook_id}/deliveries/{delivery_id}/attempts", permission=READS, role="admin")
def attempt(call: Call) -> tuple[int, Any]:
    call.world.redeliver(_delivery(call, _hook(call)).id)
    return 202, {}


def _hook_of_app(call: Call) -> Hook:
    return next((h for h in call.world.hooks.values() if h.app == call.app), Hook(0, "", "", ()))


def _hook(call: Call) -> Hook:
    found = call.world.hooks.get(call.number("hook_id"))
    if found is None or found.slug != call.repo.slug:
        raise missing()
    return found


def _delivery(call: Call, hook: Hook) -> Delivery:
    found = call.world.deliveries.get(call.number("delivery_id"))
    if found is None or found.hook.id != hook.id:
        raise missing()
    return found


def _page(call: Call, hook: Hook) -> list[Json]:
    """The newest first, with a cursor in place of a page's number."""
    found = [d for d in reversed(call.world.deliveries.values()) if d.hook.id == hook.id]
    wanted = call.query.get("status")
    if wanted:
        found = [d for d in found if (200 <= d.status_code < 300) == (wanted == "success")]
    if cursor := call.query.get("cursor"):
        found = [d for d in found if d.id < int(cursor.removeprefix("v1_"))]
    size = min(max(int(call.query.get("per_page", 30)), 1), 100)
    page = found[:size]
    if len(found) > size:
        query = {k: v for k, v in call.query.items() if k != "cursor"}
        query |= {"per_page": str(size), "cursor": f"v1_{page[-1].id}"}
        call.headers["Link"] = f'<{call.base}?{urlencode(query)}>; rel="next"'
    return [_item(one) for one in page]


def _item(one: Delivery) -> Json:
    return {
        "id": one.id,
        "guid": one.guid,
        "delivered_at": one.delivered_at,
        "redelivery": one.redelivery,
        "duration": one.duration,
        "status": one.status,
        "status_code": one.status_code,
        "event": one.event,
        "action": one.payload.get("action"),
        "installation_id": one.payload.get("installation", {}).get("id"),
        "repository_id": one.repository,
        "throttled_at": None,
    }


def _whole(one: Delivery) -> Json:
    request = {"headers": one.headers, "payload": one.payload}
    response = {"headers": {}, "payload": ""}
    return _item(one) | {"url": one.hook.url, "request": request, "response": response}


def _config(hook: Hook) -> Json:
    shown = {"content_type": "json", "insecure_ssl": "0", "secret": _HIDDEN}
    return shown | ({"url": hook.url} if hook.url else {})


def _shape(call: Call, hook: Hook) -> Json:
    at = f"{call.world.api}/repos/{hook.slug}/hooks/{hook.id}"
    return {
        "type": "Repository",
        "id": hook.id,
        "name": "web",
        "active": True,
        "events": list(hook.events),
        "config": _config(hook),
        "updated_at": "2026-01-01T00:00:00Z",
        "created_at": "2026-01-01T00:00:00Z",
        "url": at,
        "test_url": f"{at}/test",
        "ping_url": f"{at}/pings",
        "deliveries_url": f"{at}/deliveries",
        "last_response": {"code": None, "status": "unused", "message": None},
    }
