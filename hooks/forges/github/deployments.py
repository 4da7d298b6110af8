"""How far deployments are, as GitHub's deployments: an environment for each site.

https://docs.github.com/en/rest/deployments/deployments, …/rest/deployments/statuses
"""

from __future__ import annotations

from typing import Any

from hooks.forges.github.connection import Connection
from hooks.forges.github.markdown import line
from hooks.forges.seams import DeploymentNotice

_DESCRIPTION = 140  # characters
_STATES = {
    "DEPLOYING": "in_progress",
    "WAITING": "queued",
    "ACTIVE": "success",
    "FAILED": "failure",
    "REMOVED": "inactive",
}
_EARLIER = 3  # deployments of the same workflow and site that may still be shown as active


class DeploymentNotices:
    """Deployments of a repository."""

    def __init__(self, connection: Connection, slug: str) -> None:
        self._connection, self._path = connection, f"/repos/{slug}/deployments"

    def show(self, notice: DeploymentNotice) -> None:
        """Have one deployment of this commit, and its newest status this; else nothing is done."""
        kind: dict[str, Any] = {"task": f"deploy:{notice.workflow}", "environment": notice.site}
        ours = next(self._connection.pages(self._path, _ids, most=1, sha=notice.commit, **kind))
        wanted = {
            "state": _STATES[notice.state],
            "description": line(notice.summary, _DESCRIPTION),
        } | ({"log_url": notice.link} if notice.link else {})
        deployment = max(ours) if ours else self._make(notice, kind)
        if ours and self._newest(deployment) == wanted:
            return
        if notice.state == "ACTIVE":
            self._end_earlier(kind, deployment)
        # other workflows of the environment stay as they are: GitHub would end them by itself
        self._status(deployment, {**wanted, "auto_inactive": False})

    def _make(self, notice: DeploymentNotice, kind: dict[str, Any]) -> int:
        made = self._connection.send(
            "POST",
            self._path,
            {
                **kind,
                "ref": notice.commit,
                "auto_merge": False,
                "required_contexts": [],
                "payload": {"workflow": notice.workflow, "site": notice.site},
                "description": line(f"{notice.workflow} on {notice.site}", _DESCRIPTION),
            },
        )
        return int(made["id"])

    def _end_earlier(self, kind: dict[str, Any], deployment: int) -> None:
        pages = self._connection.pages(self._path, _ids, most=1, **kind)
        earlier = sorted((i for i in next(pages) if i < deployment), reverse=True)
        for one in earlier[:_EARLIER]:
            if self._newest(one).get("state") == _STATES["ACTIVE"]:
                self._status(one, {"state": _STATES["REMOVED"], "auto_inactive": False})

    def _newest(self, deployment: int) -> dict[str, str]:
        path = f"{self._path}/{deployment}/statuses"
        found = next(self._connection.pages(path, _statuses, most=1))
        return max(found, key=lambda one: one[0], default=(0, {}))[1]

    def _status(self, deployment: int, body: dict[str, Any]) -> None:
        self._connection.send("POST", f"{self._path}/{deployment}/statuses", body)


def _ids(deployments: Any) -> list[int]:
    return [int(one["id"]) for one in deployments]


def _statuses(statuses: Any) -> list[tuple[int, dict[str, str]]]:
    """Each with its id, which grows."""
    return [
        (
            int(one["id"]),
            {"state": str(one["state"]), "description": str(one["description"] or "")}
            | ({"log_url": str(one["log_url"])} if one.get("log_url") else {}),
        )
        for one in statuses
    ]
