"""What GitHub is told: statuses, our comment, our label, deployments, answers to commands."""

from __future__ import annotations

from hooks.forges.github.checks import CheckRuns, CommitStatuses
from hooks.forges.github.comments import Comments
from hooks.forges.github.connection import Connection
from hooks.forges.github.deployments import DeploymentNotices
from hooks.forges.github.failures import AnsweredError
from hooks.forges.github.labels import Labels
from hooks.forges.seams import Comment, DeploymentNotice, Status

_ACCEPTED, _REFUSED = "rocket", "confused"


class GitHubNotices:
    """One repository on GitHub. Whatever is written is looked for first."""

    def __init__(self, connection: Connection, slug: str) -> None:
        self._connection, self._repository = connection, f"/repos/{slug}"
        shown = CheckRuns if connection.is_app else CommitStatuses
        self._statuses: CheckRuns | CommitStatuses = shown(connection, slug)
        self._comments = Comments(connection, slug)
        self._labels = Labels(connection, slug)
        self._deployments = DeploymentNotices(connection, slug)

    def show(self, status: Status) -> None:
        """As a check run, or as a status where only a token is there."""
        self._statuses.show(status)

    def upsert_comment(self, pull: int, comment: Comment) -> None:
        """Its Markdown, as our one comment."""
        self._comments.put(pull, comment.markdown)

    def label(self, pull: int, state: str) -> None:
        """As ``waas: <state>``, in place of our other labels."""
        self._labels.put(pull, state)

    def show_deployment(self, notice: DeploymentNotice) -> None:
        """As a deployment to the environment of the site."""
        self._deployments.show(notice)

    def answer(self, remark: str, pull: int, *, accepted: bool) -> None:  # noqa: ARG002
        """As a reaction; GitHub keeps one of a kind. Nothing where the comment is gone."""
        path = f"{self._repository}/issues/comments/{int(remark)}/reactions"
        try:
            self._connection.send("POST", path, {"content": _ACCEPTED if accepted else _REFUSED})
        except AnsweredError as error:
            if error.status != 404:
                raise
