"""Doing what people ask for on pull requests, by a remark on the forge or a button of our page."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ci.errors import EntryError
from ci.policy import Policy
from hooks.commands.decide import Facts, refusal
from hooks.commands.parse import Command, Mistake, help_text, parse
from hooks.commands.records import CommandRecords
from hooks.db.tables import PullRequest
from hooks.dispatch.comment import Answered
from hooks.dispatch.judgements import Judgements
from hooks.dispatch.pulls import PullRequests
from hooks.dispatch.telling import Telling
from hooks.engine import Flow
from hooks.forges.seams import Forge, Notices, Remark
from hooks.sites.directory import SiteDirectory

FLOW = "command"


class Starter(Protocol):
    """The part of the engine that this needs."""

    def start(self, flow: str, payload: dict[str, Any], *, id: str) -> None:  # noqa: A002
        """Enqueue a flow; the same id is only ever run once."""


class Deploying(Protocol):
    """Deployments that somebody asks for."""

    def request(
        self,
        action: str,
        workflow: str,
        site: str,
        *,
        commit: str = "",
        by: str,
        id: str,  # noqa: A002
    ) -> str:
        """Have it done; the same id once. What was begun, as a sentence."""


@dataclass(frozen=True)
class Commanding:
    """Takes up commands: each remark once, whatever dies on the way."""

    records: CommandRecords
    pulls: PullRequests
    forges: Mapping[str, Forge]
    notices: Mapping[str, Notices]
    policy: Callable[[str], Policy]  # of a repository
    sites: SiteDirectory
    judgements: Judgements
    deploying: Deploying
    telling: Telling
    engine: Starter

    def take(self, repository: str, remark: Remark) -> None:
        """Have a remark of the forge dealt with, if there is a command in it."""
        parsed = parse(remark.text)
        row = self.pulls.numbered(repository, remark.pull)
        if not parsed or row is None:
            return
        if self.records.take(repository, remark, "; ".join(map(str, parsed))):
            payload = {"repository": repository, "remark": asdict(remark)}
            self.engine.start(FLOW, payload, id=f"command:{repository}:{remark.id}")

    def give(self, repository: str, number: int, user: str, text: str) -> str:
        """A command from our own page, done at once; the answer."""
        remark = Remark(f"page-{secrets.token_hex(8)}", number, user, text)
        parsed = parse(text)
        if not parsed:
            raise EntryError("there is no command in it", hint="/help lists them")
        self.records.take(repository, remark, "; ".join(map(str, parsed)))
        return str(self.do(repository, remark)["answer"])

    def do(self, repository: str, remark: Remark) -> dict[str, Any]:
        """Do what a remark asks for, and record the answer. Idempotent."""
        row = self.pulls.numbered(repository, remark.pull)
        if row is None:
            return {"answer": "", "accepted": False}
        answers, accepted = [], True
        for number, command in enumerate(parse(remark.text)):
            if isinstance(command, Mistake):
                answers.append(command.sentence)
                accepted = False
                continue
            refused = self._refusal(command, remark.author, row)
            accepted = accepted and not refused
            once = f"{repository}:{remark.id}:{number}"
            answers.append(refused or self._act(command, row, remark.author, once))
        answer = "; ".join(answers)
        self.records.finish(repository, remark.id, answer, accepted=accepted)
        return {"answer": answer, "accepted": accepted}

    def tell(self, repository: str, remark: Remark, done: dict[str, Any]) -> None:
        """Mark the remark as dealt with, and put the answer into our comment."""
        self.notices[repository].answer(remark.id, remark.pull, accepted=done["accepted"])
        row = self.pulls.numbered(repository, remark.pull)
        if row is not None:
            self.telling.comment(row)

    def _refusal(self, command: Command, person: str, row: PullRequest) -> str:
        forge = self.forges[row.repository]
        sites = self.sites.names()
        facts = Facts(row.state, row.author, row.pusher, row.trusted, row.head, sites)
        policy = self.policy(row.repository)
        return refusal(command, person, lambda right: forge.may(person, right), facts, policy)

    def _act(self, command: Command, row: PullRequest, by: str, once: str) -> str:
        if command.name == "help":
            return help_text()
        if command.name == "cancel":
            self.judgements.unwanted(row)
            return "its builds end"
        if command.name in {"deploy", "rollback"}:
            return self._deploy(command, row, by, once)
        if command.name == "build":
            self.records.approve(row.repository, row.number, row.head, by, command.sites)
        self.judgements.begin(self.pulls.judge_again(row.id))
        where = f" for {', '.join(command.sites)}" if command.sites else ""
        what = {"build": f"{row.head[:10]} is validated and built{where}"}
        return what.get(command.name, f"{row.head[:10]} is validated and planned again")

    def _deploy(self, command: Command, row: PullRequest, by: str, once: str) -> str:
        site, plan = command.sites[0], row.plan.get("builds", [])
        names = sorted({entry["workflow"] for entry in plan if entry["site"] == site})
        if not names:
            return f"nothing of this pull request goes to {site}: `sites:` in waas.yaml says where"
        return "; ".join(self._asked(command, name, by, f"{once}:{name}") for name in names)

    def _asked(self, command: Command, workflow: str, by: str, once: str) -> str:
        try:
            return self.deploying.request(
                command.name, workflow, command.sites[0], commit=command.commit, by=by, id=once
            )
        except EntryError as error:
            return str(error)


def answers_of(records: CommandRecords, repository: str, number: int) -> list[Answered]:
    """The newest commands on a pull request that were dealt with."""
    rows = records.of(repository, number)
    return [Answered(row.by, row.text, row.answer) for row in rows if row.answer]


def run_command(commanding: Commanding, flow: Flow, payload: dict[str, Any]) -> None:
    """The flow of one remark."""
    remark = Remark(**payload["remark"])
    done = flow.step("do", commanding.do, payload["repository"], remark)
    flow.step("tell", commanding.tell, payload["repository"], remark, done)
