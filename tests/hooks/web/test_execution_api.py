"""The REST contract of the Execution API: words, codes, owners, and nothing without a token."""

from types import SimpleNamespace

import pytest

from hooks.builds.records import BuildRecords
from hooks.credentials.encrypted_file import EncryptedFiles
from hooks.credentials.user_keys import UserKeys
from hooks.db import Database
from hooks.db.tables import Deployment, Execution, now
from hooks.executions.plan import Task
from hooks.executions.service import Executions
from hooks.inbox import Inbox
from hooks.journal import ERROR, INFO, Journal
from hooks.registries import Registries
from hooks.tokens import Tokens
from hooks.web.application import create


class FakeEngine:
    def __init__(self) -> None:
        self.started: list[str] = []
        self.cancelled: list[str] = []

    def start(self, flow, payload, *, id):
        if id not in self.started:
            self.started.append(id)

    def cancel(self, id):
        self.cancelled.append(id)


@pytest.fixture
def waas(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/waas.db")
    database.migrate()
    with database.session() as session:
        session.add(
            Deployment(
                id="rom@alpha", workflow="rom", site="alpha", commit="c" * 40, active="c" * 40
            )
        )
    engine = FakeEngine()
    plan = [Task("simulate", "job")]
    executions = Executions(
        database, engine, lambda _d, inputs: (plan, dict(inputs)), lambda *_: True
    )
    (tmp_path / "results").mkdir()
    store = EncryptedFiles.init(tmp_path / "secrets")
    return SimpleNamespace(
        database=database,
        engine=engine,
        executions=executions,
        journal=Journal(database),
        builds=SimpleNamespace(
            records=BuildRecords(database, Journal(database)),
            requests=SimpleNamespace(registries=Registries.single()),
        ),
        tokens=Tokens(database),
        ssh_keys=UserKeys(database, store),
        inbox=Inbox(database),
        hosting=SimpleNamespace(seen_by=lambda _: []),
        settings=SimpleNamespace(results=tmp_path / "results"),
        store=store,
    )


@pytest.fixture
def client(waas):
    return create(waas).test_client()


@pytest.fixture
def alice(waas):
    return {"Authorization": f"Bearer {waas.tokens.create('alice')[1]}"}


@pytest.fixture
def bob(waas):
    return {"Authorization": f"Bearer {waas.tokens.create('bob')[1]}"}


def trigger(client, headers, **more):
    key = client.post("/ssh_keys", json={"metadata": {}}, headers=headers).get_json()["id"]
    body = {"inputs": {"user_id": "alice", "vault_id": key, **more}}
    return client.post("/workflows/rom@alpha", json=body, headers=headers)


@pytest.mark.parametrize(
    "path", ["/workflows", "/executions", "/executions/x", "/ssh_keys", "/deployments", "/"]
)
def test_nothing_without_a_token(client, path):
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 401
        assert "token" in answer.get_json()["error"]


def test_basic_authentication_takes_the_token_as_password(client, waas):
    token = waas.tokens.create("carol")[1]
    assert client.get("/workflows", auth=("anything", token)).status_code == 200


def test_workflows_have_the_fields_of_the_public_api(client, alice):
    [workflow] = client.get("/workflows", headers=alice).get_json()["workflows"]
    assert workflow == {
        "id": "rom@alpha",
        "name": "rom",
        "application_id": "rom",
        "environment_id": "alpha",
        "environment_name": "alpha",
    }


def test_a_trigger_is_created_with_its_place_and_started_once(client, alice, waas):
    answer = trigger(client, alice)
    assert answer.status_code == 201
    place = answer.headers["Location"]
    shown = client.get(place, headers=alice).get_json()
    assert (shown["status"], shown["outputs"]) == ("RUNNING", {})
    assert waas.engine.started == [f"execution:{shown['id']}"]


def test_the_same_idempotency_key_is_the_same_execution(client, alice, waas):
    key = client.post("/ssh_keys", json={}, headers=alice).get_json()["id"]
    body = {"inputs": {"user_id": "alice", "vault_id": key}}
    ids = {
        client.post(
            "/workflows/rom@alpha", json=body, headers={**alice, "Idempotency-Key": "k1"}
        ).get_json()["id"]
        for _ in range(3)
    }
    assert len(ids) == 1
    assert len(waas.engine.started) == 1


@pytest.mark.parametrize(
    ("state", "cancelling", "status"),
    [
        ("QUEUED", False, "RUNNING"),
        ("RUNNING", False, "RUNNING"),
        ("RUNNING", True, "CANCELLING"),
        ("SUCCEEDED", False, "SUCCESS"),
        ("FAILED", False, "FAILED"),
        ("CANCELLED", True, "CANCELLED"),
    ],
)
def test_states_are_told_in_the_public_words(client, alice, waas, state, cancelling, status):
    name = trigger(client, alice).get_json()["id"]
    with waas.database.session() as session:
        row = session.get_one(Execution, name)
        row.state, row.cancelling = state, cancelling
        row.finished_at = now() if state in {"SUCCEEDED", "FAILED", "CANCELLED"} else None
    assert client.get(f"/executions/{name}", headers=alice).get_json()["status"] == status


def test_others_see_nothing_of_an_execution(client, alice, bob, waas):
    name = trigger(client, alice).get_json()["id"]
    results = waas.settings.results / name
    results.mkdir()
    (results / "secret.txt").write_text("mine")
    assert client.get(f"/executions/{name}/outputs/secret.txt", headers=alice).data == b"mine"
    for method, path in (
        ("get", f"/executions/{name}"),
        ("get", f"/executions/{name}/logs?timeout=0s"),
        ("get", f"/executions/{name}/outputs/secret.txt"),
        ("delete", f"/executions/{name}"),
        ("get", f"/pages/executions/{name}"),
    ):
        assert getattr(client, method)(path, headers=bob).status_code == 404
    assert client.get("/executions", headers=bob).get_json()["executions"] == []
    assert waas.engine.cancelled == []


def test_an_ssh_key_of_somebody_else_cannot_be_used(client, alice, bob):
    key = client.post("/ssh_keys", json={}, headers=alice).get_json()["id"]
    body = {"inputs": {"user_id": "alice", "vault_id": key}}
    answer = client.post("/workflows/rom@alpha", json=body, headers=bob)
    assert answer.status_code == 400
    assert "you have no SSH key" in answer.get_json()["error"]
    assert client.delete(f"/ssh_keys/{key}", headers=bob).status_code == 404


def test_a_private_key_is_never_shown_and_gone_when_revoked(client, alice, waas):
    key = client.post("/ssh_keys", json={"metadata": {"for": "alpha"}}, headers=alice).get_json()
    assert key["public_key"].startswith("ssh-ed25519 ")
    assert "PRIVATE" in waas.store.read(key["id"])
    assert "PRIVATE" not in client.get("/ssh_keys", headers=alice).text
    assert client.delete(f"/ssh_keys/{key['id']}", headers=alice).status_code == 204
    assert waas.store.list() == []
    body = {"inputs": {"user_id": "alice", "vault_id": key["id"]}}
    assert client.post("/workflows/rom@alpha", json=body, headers=alice).status_code == 400


@pytest.mark.parametrize("login", ["", "-oProxyCommand=x", "a b", "../x", "$(id)", "a\n"])
def test_a_login_that_is_none_is_refused(client, alice, login):
    answer = trigger(client, alice, user_id=login)
    assert answer.status_code == 400
    assert "user_id" in answer.get_json()["error"]


def test_an_unknown_workflow_names_those_there_are(client, alice):
    answer = client.post("/workflows/nope@alpha", json={"inputs": {}}, headers=alice)
    assert answer.status_code == 404
    assert "rom@alpha" in answer.get_json()["hint"]


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"inputs": 3}', b"\xff\xfe"])
def test_a_body_that_cannot_be_read_is_a_sentence(client, alice, body):
    answer = client.post("/workflows/rom@alpha", data=body, headers=alice)
    assert answer.status_code == 400
    assert answer.get_json()["error"]


def test_logs_are_numbered_filtered_and_waited_for(client, alice, waas):
    name = trigger(client, alice).get_json()["id"]
    subject = f"execution:{name}"
    waas.journal.write(subject, "a", "one\ntwo", INFO)
    waas.journal.write(subject, "a", "one\ntwo", INFO)  # a step that ran again
    waas.journal.write(subject, "b", "three", ERROR)
    waas.journal.write(subject, "c", "debug", 1)
    base = f"/executions/{name}/logs?timeout=0s"
    answer = client.get(base, headers=alice).get_json()
    assert [line["content"] for line in answer["logs"]] == ["one", "two", "three"]
    assert (answer["total_results"], answer["from"]) == (3, 0)
    answer = client.get(base + "&from=1&size=1", headers=alice).get_json()
    assert [line["content"] for line in answer["logs"]] == ["two"]
    answer = client.get(base + "&levels=8", headers=alice).get_json()
    assert [line["level"] for line in answer["logs"]] == ["ERROR"]
    assert client.get(base + "&timeout=soon", headers=alice).status_code in {200, 400}
    assert client.get(f"/executions/{name}/logs?timeout=soon", headers=alice).status_code == 400


def test_a_cancel_is_passed_on_once_it_can_matter(client, alice, waas):
    name = trigger(client, alice).get_json()["id"]
    assert client.delete(f"/executions/{name}", headers=alice).status_code == 202
    assert waas.engine.cancelled == [f"execution:{name}"]


def test_what_was_accepted_before_a_crash_is_started_after_it(client, alice, waas):
    name = trigger(client, alice).get_json()["id"]
    waas.engine.started.clear()
    waas.executions.resume_accepted()
    assert waas.engine.started == [f"execution:{name}"]


def test_the_pages_show_what_there_is(client, alice, waas):
    name = trigger(client, alice).get_json()["id"]
    assert name in client.get("/", headers=alice).text
    page = client.get(f"/pages/executions/{name}", headers=alice).text
    assert "rom@alpha" in page


def test_only_an_operator_sees_deliveries(client, alice, waas):
    operator = {"Authorization": f"Bearer {waas.tokens.create('op', 'operator')[1]}"}
    assert client.get("/deliveries", headers=alice).status_code == 403
    assert client.get("/deliveries", headers=operator).status_code == 200


def test_health_and_version_need_no_token(client):
    assert client.get("/healthz").get_json() == {"status": "ok"}
    assert client.get("/version").status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "image/avif,image/webp,*/*;q=0.8"])
def test_a_browser_is_asked_for_a_name_and_token(client, accept):
    answer = client.get("/executions/x/outputs/report.png", headers={"Accept": accept})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


def test_results_are_never_pages_of_ours(client, alice, waas):
    name = trigger(client, alice).get_json()["id"]
    (waas.settings.results / name).mkdir()
    (waas.settings.results / name / "x.html").write_text("<script>alert(1)</script>")
    answer = client.get(f"/executions/{name}/outputs/x.html", headers=alice)
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get(f"/executions/{name}/outputs/../../waas.db", headers=alice).status_code == 404
