"""Deliveries over HTTP: operators see them and have them handled again, strangers' pages do not."""

from datetime import datetime
from types import SimpleNamespace

import pytest

from hooks.db import Database
from hooks.dispatch.pulls import PullRequests
from hooks.inbox import Inbox
from hooks.tokens import Tokens
from hooks.web.application import create

READ = ["/deliveries", "/deliveries/d1", "/pages/deliveries"]
REPLAY = ["/deliveries/d1/replay", "/pages/deliveries/d1/replay"]
OTHERS = {"Sec-Fetch-Site": "cross-site"}
OURS = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def waas(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    inbox = Inbox(database, clock=lambda: datetime(2025, 3, 1, 12, 0, 0, 500_000))
    inbox.accept("d1", "github", "workflows", {"event": "push", "pusher": "<b>ada"})
    inbox.accept("d2", "mailbox", "software", {"event": "push"})
    inbox.handle_pending(lambda name, _: "" if name == "workflows" else "why <i>not</i>")
    return SimpleNamespace(
        database=database, inbox=inbox, tokens=Tokens(database), pulls=PullRequests(database)
    )


@pytest.fixture
def client(waas):
    return create(waas).test_client()


@pytest.fixture
def operator(waas):
    return waas.tokens.create("op", "operator")[1]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_only_operators_may(client, waas):
    user = bearer(waas.tokens.create("alice")[1])
    for path in READ:
        assert client.get(path).status_code == 401
        assert client.get(path, headers=user).status_code == 403
    for path in REPLAY:
        assert client.post(path).status_code == 401
        assert client.post(path, headers=user | OURS).status_code == 403


def test_the_list_says_what_became_of_each(client, operator):
    answer = client.get("/deliveries", headers=bearer(operator)).get_json()
    assert answer == {
        "deliveries": [
            {
                "number": 2,
                "id": "d2",
                "source": "mailbox",
                "repository": "software",
                "kind": "push",
                "state": "IGNORED",
                "reason": "why <i>not</i>",
                "attempts": 1,
                "received": "2025-03-01T12:00:00.500Z",
                "next_try": None,
                "handled": "2025-03-01T12:00:00.500Z",
            },
            answer["deliveries"][1],
        ],
        "next": None,
    }


def test_the_list_is_narrowed_and_goes_on_page_by_page(client, operator):
    def ids(query: str) -> list[str]:
        answer = client.get(f"/deliveries?{query}", headers=bearer(operator)).get_json()
        return [row["id"] for row in answer["deliveries"]]

    assert ids("state=handled") == ids("repository=workflows") == ["d1"]
    assert ids("state=FAILED") == ids("repository=workflow") == []
    first = client.get("/deliveries?limit=1", headers=bearer(operator)).get_json()
    assert [row["id"] for row in first["deliveries"]] == ["d2"]
    assert ids(f"limit=1&before={first['next']}") == ["d1"]
    for wrong in ("state=DONE", "limit=x", "before=-1", "limit=501", "before=" + "9" * 20):
        answer = client.get(f"/deliveries?{wrong}", headers=bearer(operator))
        assert answer.status_code == 400, wrong


def test_one_is_shown_with_its_event(client, operator):
    shown = client.get("/deliveries/d1", headers=bearer(operator)).get_json()
    assert shown["event"] == {"event": "push", "pusher": "<b>ada"}
    assert client.get("/deliveries/none", headers=bearer(operator)).status_code == 404


def test_a_replay_is_handled_once_more(client, operator, waas):
    for again in (True, False):
        answer = client.post("/deliveries/d1/replay", headers=bearer(operator))
        assert answer.status_code == 202
        assert answer.get_json() == {"id": "d1", "again": again, "state": "RECEIVED"}
    seen = []
    waas.inbox.handle_pending(lambda repository, _: seen.append(repository) or "")
    assert seen == ["workflows"]
    assert client.post("/deliveries/none/replay", headers=bearer(operator)).status_code == 404


@pytest.mark.parametrize("path", REPLAY)
@pytest.mark.parametrize(
    ("headers", "may"),
    [
        ({}, False),
        (OTHERS, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        (OTHERS | {"Origin": "http://localhost"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://[bad"}, False),
        ({"Origin": "http://localhost.example.org"}, False),
        ({"Origin": "http://localhost"}, True),
        (OURS, True),
    ],
)
def test_what_a_browser_sends_must_come_from_our_own_pages(client, operator, path, headers, may):
    answer = client.post(path, headers=headers, auth=("any", operator))
    assert (answer.status_code in (202, 303)) == may
    assert may or answer.status_code == 403
    state = client.get("/deliveries/d1", headers=bearer(operator)).get_json()["state"]
    assert state == ("RECEIVED" if may else "HANDLED")


def test_the_page_shows_them_as_text_and_leads_back_after_a_replay(client, operator):
    page = client.get("/pages/deliveries", auth=("any", operator)).text
    assert "why &lt;i&gt;not&lt;/i&gt;" in page
    assert "<b>" not in page
    action = "/pages/deliveries/d1/replay?state=HANDLED"
    narrowed = client.get("/pages/deliveries?state=HANDLED", auth=("any", operator)).text
    assert f'action="{action}"' in narrowed
    assert "why" not in narrowed
    answer = client.post(action, headers=OURS, auth=("any", operator))
    assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (
        303,
        "/pages/deliveries",
    )
    assert "state=HANDLED" in answer.headers["Location"]


def test_older_ones_are_a_link_away(client, operator, waas):
    for number in range(60):
        waas.inbox.accept(f"more-{number}", "git", "r", {})
    page = client.get("/pages/deliveries?repository=r", auth=("any", operator)).text
    assert "more-59<" in page
    assert "more-9<" not in page
    assert "repository=r&amp;before=" in page
    number = waas.inbox._records.get("more-10").number
    older = client.get(f"/pages/deliveries?repository=r&before={number}", auth=("any", operator))
    assert "more-9<" in older.text


def test_operators_find_the_page_and_others_do_not(client, operator, waas):
    link = 'href="/pages/deliveries"'
    assert link in client.get("/pages/deliveries", auth=("any", operator)).text
    user = waas.tokens.create("alice")[1]
    missing = client.get("/pages/pulls/r/1", auth=("any", user))
    assert missing.status_code == 404
    assert link not in missing.text
