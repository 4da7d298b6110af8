"""Dispatch put together: everything that pull requests, merges and commands go through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from builder.build import ImageService
from ci.policy import Policy, policy_of
from hooks.builds.service import Builds
from hooks.commands.records import CommandRecords
from hooks.db import Database
from hooks.dispatch.commanding import Commanding, Deploying, answers_of
from hooks.dispatch.deployments import Deployments
from hooks.dispatch.effects import DispatchEffects
from hooks.dispatch.handler import Dispatcher, Turn
from hooks.dispatch.judgements import Judgements
from hooks.dispatch.judging import Judge
from hooks.dispatch.listening import Listening
from hooks.dispatch.merging import Mergeable, Merging
from hooks.dispatch.permits import BuildPermits
from hooks.dispatch.planning import Planner
from hooks.dispatch.pulls import PullRequests
from hooks.dispatch.telling import Telling
from hooks.dispatch.untold import Untold
from hooks.engine.locks import alone
from hooks.forges.marks import Mains, Marks
from hooks.forges.seams import Forge, Notices
from hooks.registries import Registries
from hooks.sites.directory import SiteDirectory

_TURN_SECONDS = 30.0


@dataclass(frozen=True)
class Desk:
    """What others use of dispatch."""

    dispatcher: Dispatcher
    commanding: Commanding
    merging: Merging
    effects: DispatchEffects


@dataclass(frozen=True, slots=True)
class Around:
    """What dispatch works with."""

    database: Database
    forges: Mapping[str, Forge]
    notices: Mapping[str, Notices]
    mergeable: Mapping[str, Mergeable]
    registries: Registries
    mains: Mains
    sites: SiteDirectory
    images: Callable[[], ImageService]
    builds: Builds
    deployments: Deployments
    deploying: Deploying
    engine: Any
    work: Path
    hosted: frozenset[str]
    url: str


def desk_of(around: Around) -> Desk:
    """Put dispatch together."""
    pulls, records = PullRequests(around.database), CommandRecords(around.database)
    marks, judgements = Marks(around.database), Judgements(around.engine, around.builds)
    planner = Planner(around.forges, around.mains, around.sites, around.images)
    policy = Policies(planner, around.registries)
    turn = partial(alone, around.database.url, seconds=_TURN_SECONDS)
    telling = Telling(
        around.notices,
        pulls,
        partial(answers_of, records),
        around.deployments.by_commit,
        Untold(marks),
        turn,
        around.hosted,
        around.url,
    )
    commanding = Commanding(
        records=records,
        pulls=pulls,
        forges=around.forges,
        notices=around.notices,
        policy=policy,
        sites=around.sites,
        judgements=judgements,
        deploying=around.deploying,
        telling=telling,
        engine=around.engine,
    )
    permits = BuildPermits(records, around.forges, policy)
    judge = Judge(planner, around.registries, pulls, permits, around.hosted)
    listening = Listening(around.forges, marks, commanding.take)
    return Desk(
        dispatcher=_dispatcher(around, pulls, marks, judgements, listening, turn),
        commanding=commanding,
        merging=Merging(around.forges, around.mergeable, pulls),
        effects=_effects(around, pulls, planner, judge, telling),
    )


def _dispatcher(
    around: Around,
    pulls: PullRequests,
    marks: Marks,
    judgements: Judgements,
    listening: Listening,
    turn: Turn,
) -> Dispatcher:
    return Dispatcher(
        forges=around.forges,
        registries=around.registries,
        pulls=pulls,
        marks=marks,
        engine=around.engine,
        builds=around.builds,
        judgements=judgements,
        listener=listening,
        turn=turn,
    )


def _effects(
    around: Around, pulls: PullRequests, planner: Planner, judge: Judge, telling: Telling
) -> DispatchEffects:
    return DispatchEffects(
        registries=around.registries,
        pulls=pulls,
        planner=planner,
        judging=judge,
        telling=telling,
        builds=around.builds,
        deployments=around.deployments,
        work=around.work,
    )


@dataclass(frozen=True)
class Policies:
    """The allow-list of main, for the pull requests of a repository."""

    planner: Planner
    registries: Registries

    def __call__(self, repository: str) -> Policy:
        """That of the repository itself, and for a catalogue that of its first registry."""
        pairs = self.registries.using(repository)
        tree = self.planner.main_of(pairs[0].workflows if pairs else repository)
        return policy_of(tree) if tree else Policy()
