"""Deliveries of webhooks, with GitHub's record of them; in the weather that a test wants."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from .world import Hook, Repository, World

Json = dict[str, Any]
_TIMEOUT = 10.0  # seconds that GitHub waits for an answer


@dataclass
class Weather:
    """How deliveries fare. Probabilities; ``delay`` is the longest one, in seconds.

    One that is ``lost`` is in no record; one that ``failed`` is in GitHub's, and it is not sent.
    ``twice`` is sent again with the same GUID; delays put them in any order.
    """

    lost: float = 0.0
    failed: float = 0.0
    twice: float = 0.0
    delay: float = 0.0


@dataclass
class Delivery:
    """One attempt. ``status_code`` is 0 while nothing, or nobody, answered."""

    id: int
    guid: str
    event: str
    hook: Hook
    repository: int
    payload: Json
    redelivery: bool = False
    delivered_at: str = ""
    duration: float = 0.0
    status: str = "pending"
    status_code: int = 0
    headers: Json = field(default_factory=dict)


class Sender:
    """Sends what happens to webhooks, from threads of its own."""

    def __init__(self, world: World, seed: int = 0) -> None:
        self.world, self.weather = world, Weather()
        self.deliveries: dict[int, Delivery] = {}
        self.random = random.Random(seed)
        self._pool = ThreadPoolExecutor(8, "delivery")
        self._open, self._quiet = 0, threading.Condition()
        self._stopped = threading.Event()

    def post(self, hook: Hook, repo: Repository, event: str, payload: Json) -> None:
        """Deliver an event, or not, as the weather is."""
        weather, chance = self.weather, self.random.random
        if chance() < weather.lost:
            self.world.note("webhook lost", event=event, repository=repo.slug)
            return
        one = self._record(str(uuid.uuid4()), hook, event, repo.id, payload)
        if chance() < weather.failed:
            self._end(one, 502, "Invalid HTTP Response: 502")
            return
        for _ in range(2 if chance() < weather.twice else 1):
            self._submit(one, chance() * weather.delay)

    def redeliver(self, number: int) -> None:
        """Send one again, as a person who presses the button has it. Raises ``KeyError``."""
        old = self.deliveries[number]
        again = self._record(old.guid, old.hook, old.event, old.repository, old.payload)
        again.redelivery = True
        self._submit(again, 0.0)

    def idle(self, seconds: float = 30.0) -> bool:
        """Wait until all is sent; whether it is."""
        with self._quiet:
            return self._quiet.wait_for(lambda: self._open == 0, seconds)

    def stop(self) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def _record(self, guid: str, hook: Hook, event: str, repo: int, payload: Json) -> Delivery:
        with self.world.lock:
            one = Delivery(self.world.next_id(), guid, event, hook, repo, payload)
            one.delivered_at = self.world.now()
            self.deliveries[one.id] = one
        return one

    def _submit(self, one: Delivery, delay: float) -> None:
        with self._quiet:
            self._open += 1
        self._pool.submit(self._send, one, delay)

    def _send(self, one: Delivery, delay: float) -> None:
        try:
            if not self._stopped.wait(delay):
                self._attempt(one)
        finally:
            with self._quiet:
                self._open -= 1
                self._quiet.notify_all()

    def _attempt(self, one: Delivery) -> None:
        body = json.dumps(one.payload).encode()
        signature = hmac.new(one.hook.secret.encode(), body, hashlib.sha256).hexdigest()
        one.headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/0000000",
            "X-GitHub-Delivery": one.guid,
            "X-GitHub-Event": one.event,
            "X-GitHub-Hook-ID": str(one.hook.id),
            "X-Hub-Signature-256": f"sha256={signature}",
        }
        begun = time.monotonic()
        try:
            with urlopen(Request(one.hook.url, body, one.headers), timeout=_TIMEOUT) as answer:
                self._end(one, answer.status, "OK", time.monotonic() - begun)
        except HTTPError as error:
            self._end(one, error.code, f"Invalid HTTP Response: {error.code}")
        except (URLError, OSError, HTTPException):
            self._end(one, 502, "failed to connect to host")

    def _end(self, one: Delivery, code: int, status: str, duration: float = 0.0) -> None:
        one.status_code, one.status, one.duration = code, status, round(duration, 3)
        self.world.note("webhook", guid=one.guid, event=one.event, status=code)
